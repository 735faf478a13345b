//! What is done, and what the lock does, in the operator's log: one line each, in words for people and in fields for machines.
//! The fields are `namespace` and `name` of the resource, and where they say something `pod`, `revision`, `machine`, `from`,
//! `to`, `why` and `gapMs`.

use kube::runtime::reflector::ObjectRef;

use crate::api::{ChainlinkNode, LockMove};
pub(super) use crate::controller::line::{again, line};
use crate::plan::{Act, Permit};

/// An act that is about to be done. What needs a second look says so: whether it was done is another line.
pub(super) fn act(of: &ObjectRef<ChainlinkNode>, act: &Act) {
    match act {
        Act::Create { pod, revision, .. } => line!(info, of, pod, %revision, "makes a pod"),
        Act::Pull {
            pod,
            revision,
            machine,
        } => {
            line!(info, of, pod, %revision, machine, "makes a pod that pulls the image on a machine");
        }
        Act::Validate { pod, revision } => {
            line!(info, of, pod, %revision, "makes a pod that checks the configuration");
        }
        Act::EndOneshot { pod } => {
            line!(
                info,
                of,
                pod = pod.name,
                "removes a pod that pulled an image or checked a configuration"
            );
        }
        Act::Label { pod, active: true } => {
            line!(info, of, pod = pod.name, "leads the Service to a pod");
        }
        Act::Label { pod, active: false } => {
            line!(
                info,
                of,
                pod = pod.name,
                "leads the Service away from a pod"
            );
        }
        Act::Gate { pod, ready: true } => line!(info, of, pod = pod.name, "marks a pod as ready"),
        Act::Gate { pod, ready: false } => {
            line!(info, of, pod = pod.name, "marks a pod as not ready");
        }
        Act::Tidy { pod } => line!(info, of, pod = pod.name, "removes a pod that has ended"),
        Act::ReleaseLease(planned) => line!(
            info,
            of,
            pod = planned.pod().name,
            to = planned.successor().name,
            "looks once more before it gives back the lease of a node that has ended"
        ),
        Act::Stop(permit) => line!(
            info, of,
            pod = permit.pod().name,
            why = %permit.cause(),
            "looks once more before it stops a pod"
        ),
    }
}

/// A pod was stopped.
pub(super) fn stopped(of: &ObjectRef<ChainlinkNode>, permit: &Permit) {
    let pod = &permit.pod().name;
    let why = permit.cause();
    if let Some(to) = permit.successor() {
        line!(info, of, pod, to = to.name, %why, "stopped the active for its successor");
    } else {
        line!(info, of, pod, %why, "stopped a pod");
    }
}

/// The lock has moved, or has its first holder.
pub(super) fn moved(of: &ObjectRef<ChainlinkNode>, done: &LockMove) {
    let LockMove {
        to,
        revision,
        reason,
        asked_by,
        gap_ms,
        ..
    } = done;
    let asked_by: &str = asked_by;
    // A field that is not known is left out.
    let gap = *gap_ms;
    if let Some(from) = &done.from {
        let words = words(done);
        line!(info, of, from, to, %revision, reason, askedBy = asked_by, gapMs = gap, "the lock has moved: {words}");
    } else {
        line!(info, of, to, %revision, "the first pod of this resource works");
    }
}

fn words(done: &LockMove) -> String {
    let gap = done.gap.as_deref();
    let bound = if done.gap_is_upper_bound {
        "at most "
    } else {
        ""
    };
    let gap = gap.map_or_else(
        || "for how long nobody worked is not known".to_owned(),
        |gap| format!("nobody worked for {bound}{gap}"),
    );
    match done.reason.as_str() {
        "Failover" => format!("a failover, as the old active ended or was cut off; {gap}"),
        reason => format!("{reason}; {gap}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::api::RevisionName;
    use crate::domain::{Place, PodId};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The one line that is logged, as JSON.
    fn logged(log: impl FnOnce(&ObjectRef<ChainlinkNode>)) -> Value {
        let written = Written::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || to.clone())
            .finish();
        let of = ObjectRef::new("mainnet").within("chain");
        tracing::subscriber::with_default(subscriber, || log(&of));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        line["fields"].clone()
    }

    fn pod(name: &str) -> PodId {
        PodId {
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
        }
    }

    #[test]
    fn each_act_is_one_line_in_words_with_its_pod_as_a_field() {
        let revision = RevisionName::new("mainnet-1".to_owned());
        let acts = [
            Act::Create {
                pod: "a".to_owned(),
                revision: revision.clone(),
                place: Place::default(),
            },
            Act::Pull {
                pod: "a".to_owned(),
                revision: revision.clone(),
                machine: "m".to_owned(),
            },
            Act::Validate {
                pod: "a".to_owned(),
                revision,
            },
            Act::EndOneshot { pod: pod("a") },
            Act::Label {
                pod: pod("a"),
                active: true,
            },
            Act::Label {
                pod: pod("a"),
                active: false,
            },
            Act::Gate {
                pod: pod("a"),
                ready: true,
            },
            Act::Tidy { pod: pod("a") },
        ];
        let mut words = std::collections::BTreeSet::new();
        for one in &acts {
            let fields = logged(|of| act(of, one));
            assert_eq!(fields["namespace"], "chain", "{fields}");
            assert_eq!(fields["name"], "mainnet", "{fields}");
            assert_eq!(fields["pod"], "a", "{fields}");
            let text = fields.to_string();
            let debug = ["uid", "PodId", "Create", "RevisionName", "Some("];
            assert!(!debug.iter().any(|word| text.contains(word)), "{text}");
            words.insert(fields["message"].as_str().unwrap().to_owned());
        }
        assert_eq!(words.len(), acts.len(), "each has its own words: {words:?}");
    }

    #[test]
    fn a_failover_is_one_line_with_from_to_and_the_gap() {
        let done = LockMove {
            from: Some("a (2.28.0)".to_owned()),
            to: "b (2.28.0)".to_owned(),
            revision: RevisionName::new("mainnet-1".to_owned()),
            reason: "Failover".to_owned(),
            asked_by: "Nobody".to_owned(),
            gap_ms: Some(2100),
            gap: Some("2.1s".to_owned()),
            gap_is_upper_bound: true,
            ..LockMove::default()
        };
        let fields = logged(|of| moved(of, &done));
        let wanted = json!({
            "namespace": "chain", "name": "mainnet", "from": "a (2.28.0)", "to": "b (2.28.0)",
            "revision": "mainnet-1", "reason": "Failover", "askedBy": "Nobody", "gapMs": 2100,
            "message": "the lock has moved: a failover, as the old active ended or was cut off; nobody worked for at most 2.1s",
        });
        assert_eq!(fields, wanted);

        let first = LockMove {
            from: None,
            gap_ms: None,
            ..done
        };
        let fields = logged(|of| moved(of, &first));
        assert_eq!(fields["message"], "the first pod of this resource works");
        assert_eq!(fields["to"], "b (2.28.0)");
    }
}
