// A real OCI registry on loopback, for tests/it/registry.rs: go-containerregistry's own, in memory. It prints its address, and
// goes on until its standard input ends.
//
// It has `smartcontract/chainlink` with a thousand tags that name no release and those of the arguments, each of which leads to
// an image of its own; `private/chainlink` wants a login.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	serves := registry.New(quiet)
	var open sync.Map
	open.Store("seeding", true)
	server := http.HandlerFunc(func(out http.ResponseWriter, asked *http.Request) {
		user, password, _ := asked.BasicAuth()
		_, seeding := open.Load("seeding")
		if strings.HasPrefix(asked.URL.Path, "/v2/private/") && !seeding && (user != "me" || password != "pw") {
			out.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		if asked.URL.Path == "/v2/" && !seeding {
			out.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		}
		serves.ServeHTTP(out, asked)
	})
	go func() { check(http.Serve(listener, server)) }()

	host := listener.Addr().String()
	releases := os.Args[1:]
	image := push(host+"/smartcontract/chainlink:2.0.0", nil)
	for number := range 1000 {
		push(fmt.Sprintf("%s/smartcontract/chainlink:sha-%04d", host, number), image)
	}
	for _, tag := range releases {
		image := push(host+"/smartcontract/chainlink:"+tag, nil)
		digest, err := image.Digest()
		check(err)
		fmt.Println(tag, digest)
	}
	push(host+"/private/chainlink:2.29.0", image)
	open.Delete("seeding")
	fmt.Println("at", host)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// Pushes an image under a tag, a new one where none is given.
func push(to string, image v1.Image) v1.Image {
	tag, err := name.NewTag(to)
	check(err)
	if image == nil {
		image, err = random.Image(64, 1)
		check(err)
		check(remote.Write(tag, image))
		return image
	}
	check(remote.Tag(tag, image))
	return image
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
