//! `ui`: a port of this machine that leads to the active's web page. Each connection goes to whoever is active then; those
//! to a pod that is active no more are closed, so that a browser connects again.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::args::Ui;
use crate::cluster::WEB_PORT;
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::{Out, Tone, Word};

pub async fn run(asked: &Ui, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    let active = node.status.and_then(|status| status.active);
    let api: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    if let Some(pod) = &active {
        // A right that is missing is told at once, and not by the first connection.
        let tried = api.portforward(pod, &[WEB_PORT]).await;
        tried.map_err(|error| refused(pod, error))?.abort();
    }
    let listener = TcpListener::bind(("127.0.0.1", asked.port)).await;
    let listener = listener.map_err(|error| {
        Failure::Asked(format!(
            "port {} of this machine can't be used ({error}): choose another one with --port",
            asked.port
        ))
    })?;
    let here = listener.local_addr()?;
    out.text(&format!(
        "http://{here} leads to the active of {}; Ctrl-C ends it",
        asked.name
    ))?;
    tell(active.as_deref(), out)?;

    let (leads, leads_to) = watch::channel(active);
    let (problems, mut told) = mpsc::unbounded_channel();
    let mut states = Box::pin(session.watch(&asked.name));
    loop {
        tokio::select! {
            state = states.next() => {
                let Some(Some(node)) = state.transpose()? else {
                    return Err(session.not_found(&asked.name));
                };
                let active = node.status.and_then(|status| status.active);
                if *leads.borrow() != active {
                    tell(active.as_deref(), out)?;
                    leads.send_replace(active);
                }
            }
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let (api, leads_to, problems) = (api.clone(), leads_to.clone(), problems.clone());
                tokio::spawn(async move {
                    if let Err(problem) = lead(api, stream, leads_to).await {
                        // Nobody reads it once the command has ended.
                        let _ = problems.send(problem);
                    }
                });
            }
            Some(problem) = told.recv() => out.line(&[Word::new(problem, Tone::Waits)])?,
        }
    }
}

/// An upgrade to a stream is refused by a code alone, without a sentence.
fn refused(pod: &str, error: kube::Error) -> Failure {
    match error {
        kube::Error::UpgradeConnection(error) => Failure::Asked(format!(
            "leading a port to {pod}: {error}; it takes get and create of pods/portforward in this namespace"
        )),
        source => Failure::Api {
            doing: format!("leading a port to {pod}"),
            source,
        },
    }
}

fn tell(active: Option<&str>, out: &mut Out) -> std::io::Result<()> {
    out.text(&match active {
        Some(pod) => format!("{pod} is active"),
        None => "nobody is active: connections are refused until somebody is".to_owned(),
    })
}

/// Leads one connection, until it ends or another pod is active.
async fn lead(
    api: Api<Pod>,
    mut stream: TcpStream,
    mut leads_to: watch::Receiver<Option<String>>,
) -> Result<(), String> {
    let pod = leads_to.borrow_and_update().clone();
    let pod = pod.ok_or("a connection was refused: nobody is active")?;
    let said = |error: &dyn std::fmt::Display| format!("a connection to {pod} failed: {error}");
    let forwarded = api.portforward(&pod, &[WEB_PORT]).await;
    let mut forwarded = forwarded.map_err(|error| said(&error))?;
    let mut far = forwarded
        .take_stream(WEB_PORT)
        .ok_or_else(|| said(&"the port was not opened"))?;
    tokio::select! {
        // Either side may hang up at any time.
        _ = copy_bidirectional(&mut stream, &mut far) => {}
        _ = leads_to.changed() => {}
    }
    forwarded.abort();
    Ok(())
}
