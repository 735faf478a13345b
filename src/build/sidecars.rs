//! The containers beside the node's. Sidecars are init containers that go on, as the node can't do without them from its
//! first connection to the one by which it gives its lock back: Kubernetes starts them before it, and ends them after it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, Probe, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::container::{amounts, mount, variable as env_var};
use super::content::{Content, Value};
use super::outcome::{ConfigMaps, Read, refused};
use super::session;
use super::variables::value;
use super::volumes::{extra_name, some};
use crate::api::names::ONLY_PULLED;
use crate::api::{
    ChainlinkNodeSpec, PodOptions, PortProtocol, Resources, Sidecar, SidecarMount, SidecarPort,
    SidecarSecurity, Variable,
};
use crate::domain::Reason;
use crate::node::settings::{HTTP_PORT, HTTPS_PORT, P2P_PORT};

/// All containers beside the node's that a user asks for, each with the field that it stands in.
pub(super) fn beside(pod: &PodOptions) -> impl Iterator<Item = (&'static str, &Sidecar)> {
    let sidecars = pod.sidecars.iter().map(|one| ("sidecars", one));
    let before = pod
        .init_containers
        .iter()
        .map(|one| ("initContainers", one));
    sidecars.chain(before)
}

/// The user's, in the order in which Kubernetes starts them: what runs to its end may need what goes on.
pub(super) fn of_the_user(content: &Content) -> Vec<Container> {
    let options = &content.pod;
    let sidecars = options.sidecars.iter().map(|sidecar| Container {
        restart_policy: Some("Always".to_owned()),
        ..container(sidecar)
    });
    let others = options.init_containers.iter().map(container);
    sidecars.chain(others).collect()
}

/// The user's, where the node reads files that only they can have written: whoever looks at those files needs them, too.
pub(super) fn that_hand_files_over(content: &Content) -> Vec<Container> {
    let mut volumes = content.pod.volumes.iter();
    if volumes.any(|volume| volume.empty_dir.is_some() && volume.mount_path.is_some()) {
        of_the_user(content)
    } else {
        Vec::new()
    }
}

/// A container for each image beside the node's that does nothing but need it.
pub(super) fn pulled(content: &Content) -> Vec<Container> {
    let mut known = BTreeSet::from([content.image.as_str()]);
    let others = beside(&content.pod).map(|(_, one)| one);
    let others = others.filter(|one| known.insert(one.image.as_str()));
    others
        .map(|one| Container {
            name: one.name.clone(),
            image: Some(one.image.clone()),
            command: Some(vec![ONLY_PULLED.to_owned()]),
            resources: one.resources.as_ref().map(amounts),
            security_context: Some(security(one)),
            ..Container::default()
        })
        .collect()
}

/// All that is started before the node, in its order.
pub(super) fn before_the_node(content: &Content) -> Option<Vec<Container>> {
    let mut all = of_the_user(content);
    all.extend(session::container(content));
    some(all)
}

/// The names of the sidecars, as the annotation of a pod has them.
pub(super) fn names(content: &Content) -> Option<String> {
    let sidecars = content.pod.sidecars.iter();
    let names: Vec<&str> = sidecars.map(|sidecar| sidecar.name.as_str()).collect();
    some(names).map(|names| names.join(","))
}

fn container(of: &Sidecar) -> Container {
    Container {
        name: of.name.clone(),
        image: Some(of.image.clone()),
        command: some(of.command.clone()),
        args: some(of.args.clone()),
        env: some(of.env.iter().filter_map(variable).collect()),
        ports: some(of.ports.iter().map(port).collect()),
        resources: of.resources.as_ref().map(amounts),
        volume_mounts: some(of.volume_mounts.iter().map(mounted).collect()),
        startup_probe: of.startup_probe.clone(),
        readiness_probe: of.readiness_probe.clone(),
        liveness_probe: of.liveness_probe.clone(),
        security_context: Some(security(of)),
        // Its last words are told where it keeps the node from starting.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn variable(of: &Variable) -> Option<EnvVar> {
    let text = of.value.clone().map(Value::Text);
    let source = of.value_from.as_ref();
    let secret = source.and_then(|from| Some(Value::Secret(from.secret_key_ref.clone()?)));
    let field = source.and_then(|from| from.field_ref.as_ref());
    let field = field.map(|field| Value::Field(field.field_path.clone()));
    let value = text.or(secret).or(field)?;
    Some(env_var(&of.name, &value))
}

fn port(of: &SidecarPort) -> ContainerPort {
    ContainerPort {
        name: of.name.clone(),
        container_port: of.container_port,
        protocol: of.protocol.map(|protocol| protocol.as_str().to_owned()),
        ..ContainerPort::default()
    }
}

fn mounted(of: &SidecarMount) -> VolumeMount {
    let read_only = of.read_only == Some(true);
    mount(&extra_name(&of.name), of.mount_path.clone(), read_only)
}

fn security(of: &Sidecar) -> SecurityContext {
    let asked = of.security_context.clone().unwrap_or_default();
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: asked.read_only_root_filesystem,
        run_as_user: asked.run_as_user,
        run_as_group: asked.run_as_group,
        // The node itself may be root, in an image that wants it.
        run_as_non_root: asked.run_as_user.map(|_| true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: asked.capabilities.and_then(|asked| some(asked.add)),
        }),
        ..SecurityContext::default()
    }
}

/// In the one form that says the same, with the texts of ConfigMaps in place of their names: a change of one rolls like any
/// other change. What could not work beside the node is refused.
pub(super) fn fit(spec: &ChainlinkNodeSpec, pod: &mut PodOptions, maps: &ConfigMaps) -> Read<()> {
    share_nothing(pod)?;
    let peers = spec.service.as_ref();
    let peers = peers.and_then(|service| service.p2p.as_ref()?.port);
    let own: Vec<i32> = [HTTP_PORT, HTTPS_PORT, P2P_PORT]
        .map(i32::from)
        .into_iter()
        .chain(peers)
        .collect();
    let volumes: BTreeSet<&str> = pod.volumes.iter().map(|it| it.name.as_str()).collect();
    for (field, one) in beside(pod) {
        let place = format!("spec.pod.{field} ({})", one.name);
        knows_its_volumes(one, &volumes, &place)?;
        leaves_the_node_its_ports(one, &own, &place)?;
    }
    every_volume_is_seen(pod)?;
    for (field, all) in [
        ("sidecars", &mut pod.sidecars),
        ("initContainers", &mut pod.init_containers),
    ] {
        for one in all {
            let place = format!("spec.pod.{field} ({}).env", one.name);
            for variable in &mut one.env {
                pinned(variable, maps, &place)?;
            }
            canonical(one);
        }
    }
    Ok(())
}

fn share_nothing(pod: &mut PodOptions) -> Read<()> {
    let shared = [
        ("shareProcessNamespace", pod.share_process_namespace.take()),
        ("hostNetwork", pod.host_network.take()),
    ];
    match shared.iter().find(|(_, asked)| *asked == Some(true)) {
        Some((field, _)) => refused(
            Reason::InvalidSpec,
            format!(
                "spec.pod.{field}: the node shares neither processes nor addresses: leave it out"
            ),
        ),
        None => Ok(()),
    }
}

fn knows_its_volumes(one: &Sidecar, volumes: &BTreeSet<&str>, place: &str) -> Read<()> {
    let mut mounts = one.volume_mounts.iter();
    match mounts.find(|mount| !volumes.contains(mount.name.as_str())) {
        Some(mount) => refused(
            Reason::InvalidSpec,
            format!(
                "{place}.volumeMounts: {} is none of spec.pod.volumes: add it there (an emptyDir, to hand files to the node), or name one of them",
                mount.name
            ),
        ),
        None => Ok(()),
    }
}

/// By its own ports the node is seen to wait and to work: who else listened there would be taken for it.
fn leaves_the_node_its_ports(one: &Sidecar, own: &[i32], place: &str) -> Read<()> {
    let mut ports = one.ports.iter().map(|port| port.container_port);
    if let Some(port) = ports.find(|port| own.contains(port)) {
        return refused(
            Reason::InvalidSpec,
            format!(
                "{place}.ports: {port} is the node's own port: have the container listen on another one"
            ),
        );
    }
    for (field, probe) in one.probes() {
        if let Some(port) = probed(probe).find(|port| own.contains(port)) {
            return refused(
                Reason::InvalidSpec,
                format!(
                    "{place}.{field}: {port} is the node's own port, which says nothing of this container: name one that it listens on itself"
                ),
            );
        }
    }
    Ok(())
}

/// The ports that a probe asks, as far as they are numbers.
fn probed(probe: &Probe) -> impl Iterator<Item = i32> {
    let http = probe.http_get.as_ref().map(|http| &http.port);
    let tcp = probe.tcp_socket.as_ref().map(|tcp| &tcp.port);
    let numbers = http.into_iter().chain(tcp).filter_map(|port| match port {
        IntOrString::Int(port) => Some(*port),
        IntOrString::String(name) => name.parse().ok(),
    });
    numbers.chain(probe.grpc.as_ref().map(|grpc| grpc.port))
}

fn every_volume_is_seen(pod: &PodOptions) -> Read<()> {
    let seen: BTreeSet<&str> = beside(pod)
        .flat_map(|(_, one)| &one.volume_mounts)
        .map(|mount| mount.name.as_str())
        .collect();
    let unseen = |name: &str, at: Option<&String>| at.is_none() && !seen.contains(name);
    let mut volumes = pod.volumes.iter();
    match volumes.find(|volume| unseen(&volume.name, volume.mount_path.as_ref())) {
        Some(volume) => refused(
            Reason::InvalidSpec,
            format!(
                "spec.pod.volumes ({}): no container sees it: give it a mountPath for the node, such as /certificates, or name it in volumeMounts of a sidecar",
                volume.name
            ),
        ),
        None => Ok(()),
    }
}

fn pinned(variable: &mut Variable, maps: &ConfigMaps, place: &str) -> Read<()> {
    if let Value::Text(text) = value(variable, maps, place)? {
        variable.value = Some(text);
        variable.value_from = None;
    }
    Ok(())
}

/// Without what says nothing.
fn canonical(one: &mut Sidecar) {
    for port in &mut one.ports {
        port.protocol = port.protocol.filter(|one| *one != PortProtocol::Tcp);
    }
    for mount in &mut one.volume_mounts {
        mount.read_only = mount.read_only.filter(|only| *only);
    }
    if let Some(security) = &mut one.security_context {
        security.run_as_non_root = None;
        security.allow_privilege_escalation = None;
        security.privileged = None;
        security.read_only_root_filesystem =
            security.read_only_root_filesystem.filter(|only| *only);
        if let Some(capabilities) = &mut security.capabilities {
            capabilities.drop.clear();
        }
        security.capabilities = security
            .capabilities
            .take()
            .filter(|asked| !asked.add.is_empty());
    }
    let says = |security: &SidecarSecurity| *security != SidecarSecurity::default();
    one.security_context = one.security_context.take().filter(says);
    let amounts = one.resources.take();
    one.resources = amounts.filter(|amounts| *amounts != Resources::default());
}
