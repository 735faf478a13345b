// A registry for the nodes of a real cluster, for tests/e2e: go-containerregistry's own, in memory, over TLS.
//
//	mirror ADDRESS ARCHIVE AUTHORITY DELAY
//
// It listens on a free port of ADDRESS, writes the authority of its certificate to the file AUTHORITY, and prints its own
// address. Each line of its standard input is the name of an image in ARCHIVE (`docker save`'s form): it is pushed as
// `smartcontract/chainlink` with the tag that it has there, and its digest printed. Whoever pulls waits for DELAY ("10s") for each
// blob. It ends with its standard input.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: mirror ADDRESS ARCHIVE AUTHORITY DELAY")
	}
	delay, err := time.ParseDuration(os.Args[4])
	check(err)
	address, archive, file := os.Args[1], os.Args[2], os.Args[3]
	authority, certificate := certificates(net.ParseIP(address))
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	check(os.WriteFile(file, text, 0o644))

	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	check(err)
	quiet := log.New(io.Discard, "", 0)
	server := &http.Server{
		Handler:   slow(registry.New(registry.Logger(quiet)), delay),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ErrorLog:  quiet,
	}
	go func() { check(server.ServeTLS(listener, "", "")) }()
	host := listener.Addr().String()
	fmt.Println(host)

	trusted := x509.NewCertPool()
	trusted.AddCert(authority)
	push := remote.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}})
	names := bufio.NewScanner(os.Stdin)
	for names.Scan() {
		from, err := name.NewTag(names.Text())
		check(err)
		image, err := tarball.ImageFromPath(archive, &from)
		check(err)
		to, err := name.NewTag(host + "/smartcontract/chainlink:" + from.TagStr())
		check(err)
		check(remote.Write(to, image, push))
		digest, err := image.Digest()
		check(err)
		fmt.Println(digest)
	}
	check(names.Err())
}

// Lets who asks for a blob wait.
func slow(registry http.Handler, delay time.Duration) http.Handler {
	return http.HandlerFunc(func(to http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodGet && strings.Contains(request.URL.Path, "/blobs/") {
			time.Sleep(delay)
		}
		registry.ServeHTTP(to, request)
	})
}

// An authority, and a certificate of it for an address.
func certificates(address net.IP) (*x509.Certificate, tls.Certificate) {
	from := time.Now().Add(-time.Hour)
	issuer := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "mirror"},
		NotBefore:             from,
		NotAfter:              from.AddDate(0, 0, 7),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	key := newKey()
	raw, err := x509.CreateCertificate(rand.Reader, issuer, issuer, key.Public(), key)
	check(err)
	authority, err := x509.ParseCertificate(raw)
	check(err)
	serves := newKey()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: address.String()},
		NotBefore:    from,
		NotAfter:     issuer.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{address},
	}
	raw, err = x509.CreateCertificate(rand.Reader, leaf, authority, serves.Public(), key)
	check(err)
	return authority, tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: serves}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return key
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
