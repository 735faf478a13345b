//! From kubectl's flags to a client.

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::args::Connection;
use crate::failure::{Doing, Failure};

/// A client, and where it looks.
pub struct Session {
    pub client: Client,
    /// Of the flag, or else of the context.
    pub namespace: String,
}

impl Session {
    pub async fn open(flags: &Connection) -> Result<Self, Failure> {
        let mut config = config(flags).await?;
        impersonate(&mut config.auth_info, flags);
        // An answer is shown as it is, in place of waiting inside a call.
        config.default_retry = false;
        let client = Client::try_from(config).doing("connecting to the cluster")?;
        Ok(Self::by(client, flags))
    }

    pub fn by(client: Client, flags: &Connection) -> Self {
        let namespace = flags.namespace.clone();
        Self {
            namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            client,
        }
    }
}

async fn config(flags: &Connection) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: flags.context.clone(),
        cluster: flags.cluster.clone(),
        user: flags.user.clone(),
    };
    let file = match &flags.kubeconfig {
        Some(path) => Kubeconfig::read_from(path)?,
        None => match Kubeconfig::read() {
            Ok(file) => file,
            // As kubectl does in a pod.
            Err(kubeconfig @ (KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath)) => {
                return Config::incluster().map_err(|pod| Failure::NoCluster { kubeconfig, pod });
            }
            Err(error) => return Err(error.into()),
        },
    };
    Ok(Config::from_custom_kubeconfig(file, &options).await?)
}

fn impersonate(auth: &mut AuthInfo, flags: &Connection) {
    if let Some(user) = &flags.impersonated {
        auth.impersonate = Some(user.clone());
    }
    if !flags.groups.is_empty() {
        auth.impersonate_groups = Some(flags.groups.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_impersonated_is_what_the_flags_say_and_else_what_the_kubeconfig_says() {
        let mut auth = AuthInfo {
            impersonate: Some("of-the-file".to_owned()),
            ..AuthInfo::default()
        };
        impersonate(&mut auth, &Connection::default());
        assert_eq!(auth.impersonate.as_deref(), Some("of-the-file"));
        assert_eq!(auth.impersonate_groups, None);

        let flags = Connection {
            impersonated: Some("somebody".to_owned()),
            groups: vec!["on-call".to_owned()],
            ..Connection::default()
        };
        impersonate(&mut auth, &flags);
        assert_eq!(auth.impersonate.as_deref(), Some("somebody"));
        assert_eq!(auth.impersonate_groups, Some(vec!["on-call".to_owned()]));
    }
}
