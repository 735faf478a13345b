//! What is kept around the pods: revisions with their files, and the Services. Read first, written
//! only where something differs, so that a steady resource causes no writes (rule L2).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs::File;
use std::io::Read;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service as ApiService};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::ChainlinkNode;
use crate::api::names::{BUDGET_ACTIVE_ANNOTATION, FIELD_MANAGER};
use crate::build::{self, Content, Resolved};
use crate::cluster::{adoption, controls, is_orphan, refusal, remove, still_there};
use crate::domain::Revision;

/// The kept revisions, readable.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub revisions: BTreeMap<String, Revision>,
    pub contents: BTreeMap<String, Content>,
    /// Uids of the objects that were read.
    uids: BTreeMap<String, String>,
    newest: i64,
}

impl Kept {
    /// Reads what is kept. What can't be read was made by a newer operator: it is left alone, and
    /// its pods are known by what they carry themselves.
    pub fn read(objects: &[ControllerRevision]) -> Self {
        let mut kept = Self::default();
        for object in objects {
            kept.newest = kept.newest.max(object.revision);
            let name = object.name_any();
            let uid = object.metadata.uid.clone();
            kept.uids.extend(uid.map(|uid| (name.clone(), uid)));
            match build::content_of(object) {
                Ok(content) => {
                    kept.revisions
                        .insert(name.clone(), content.named(name.clone()));
                    kept.contents.insert(name, content);
                }
                Err(error) => {
                    tracing::warn!(revision = name, %error, "a kept revision can't be read");
                }
            }
        }
        kept
    }
}

/// Keeps the objects around the pods of one resource.
pub struct Keeper<'a> {
    client: &'a Client,
    node: &'a ChainlinkNode,
    namespace: String,
}

impl<'a> Keeper<'a> {
    pub fn new(client: &'a Client, node: &'a ChainlinkNode) -> Self {
        Self {
            client,
            node,
            namespace: node.namespace().unwrap_or_default(),
        }
    }

    fn revisions(&self) -> Api<ControllerRevision> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Keeps a new revision: its files first, so that a kept revision always has them.
    pub async fn keep(&self, resolved: &Resolved, kept: &mut Kept) -> Result<Keeping, kube::Error> {
        let files = self.keep_files(resolved).await?;
        let name = &resolved.revision.name;
        if files != Keeping::Done || kept.revisions.contains_key(name) {
            return Ok(files);
        }
        let number = kept.newest + 1;
        let object =
            build::revision_object(self.node, resolved, number).map_err(kube::Error::SerdeError)?;
        let made = self.make(&self.revisions(), &object).await?;
        if made == Keeping::Done {
            kept.newest = number;
            kept.revisions
                .insert(name.clone(), resolved.revision.clone());
            kept.contents.insert(name.clone(), resolved.content.clone());
        }
        Ok(made)
    }

    /// Makes the files of a revision where they are not there: it is new, its removal may have been begun,
    /// or somebody deleted them. Without them no pod of it starts.
    pub async fn keep_files(&self, resolved: &Resolved) -> Result<Keeping, kube::Error> {
        let maps = self.config_maps();
        let files = build::config_map(self.node, resolved).into_iter();
        for map in files.chain(build::mounted_copies(self.node, resolved)) {
            let keeping = match maps.get_metadata_opt(&map.name_any()).await? {
                Some(there) => self.keeping(&maps, &there).await?,
                None => self.make(&maps, &map).await?,
            };
            if keeping != Keeping::Done {
                return Ok(keeping);
            }
        }
        Ok(Keeping::Done)
    }

    /// Makes an object, unless it is there already: then it has to be ours.
    async fn make<K>(&self, api: &Api<K>, object: &K) -> Result<Keeping, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        match api.create(&PostParams::default(), object).await {
            Ok(_) => Ok(Keeping::Done),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = api.get_metadata(&object.name_any()).await?;
                self.keeping(api, &there).await
            }
            Err(error) => Err(error),
        }
    }

    async fn keeping<K>(
        &self,
        api: &Api<K>,
        there: &PartialObjectMeta<K>,
    ) -> Result<Keeping, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        if controls(self.node, there) {
            return Ok(Keeping::Done);
        }
        if self.may_adopt(there).await? {
            self.adopt(api, there).await?;
            return Ok(Keeping::Done);
        }
        Ok(Keeping::NotOurs(format!(
            "a {} named {} exists and is not this resource's: remove it, or rename the resource",
            K::kind(&()),
            there.name_any()
        )))
    }

    /// What is of one name is of one content: the name is made from it.
    async fn adopt<K>(&self, api: &Api<K>, orphan: &PartialObjectMeta<K>) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let patch = adoption(self.node, orphan);
        let parameters = PatchParams::default();
        api.patch_metadata(&orphan.name_any(), &parameters, &Patch::Merge(patch))
            .await
            .map(drop)
    }

    async fn may_adopt(&self, there: &impl ResourceExt) -> Result<bool, kube::Error> {
        Ok(is_orphan(self.node, there) && still_there(self.client, self.node).await?)
    }

    /// Whether an object may be brought up to date, or removed: applying it takes an orphan over.
    async fn may_change(&self, there: &impl ResourceExt) -> Result<bool, kube::Error> {
        Ok(controls(self.node, there) || self.may_adopt(there).await?)
    }

    /// Makes the Secret that signs the sessions, where there is none: it is never read and never
    /// changed. A message where the API server will not have it.
    pub async fn session_secret(&self) -> Result<Option<String>, kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let random = random().map_err(|error| kube::Error::Service(error.into()))?;
        let secret = build::session_secret(self.node, random).map_err(kube::Error::SerdeError)?;
        let made = secrets.create(&PostParams::default(), &secret).await;
        match there(made.map(drop)) {
            Err(error) => refusal(&error).map(Some).ok_or(error),
            Ok(()) => Ok(None),
        }
    }

    /// Removes the revisions that nothing needs any more.
    pub async fn forget_all_but(
        &self,
        needed: &BTreeSet<String>,
        kept: &Kept,
    ) -> Result<(), kube::Error> {
        for (name, content) in kept
            .contents
            .iter()
            .filter(|(name, _)| !needed.contains(*name))
        {
            // The files first: what is left by a crash between the two is found again by the revision.
            let pinned = content
                .files
                .iter()
                .any(|(_, source)| matches!(source, build::FileSource::Pinned(_)));
            if pinned {
                self.forget_files(name).await?;
            }
            for copy in content.copies(name) {
                self.forget_files(&copy).await?;
            }
            // Without its uid it was made in this pass, and is needed.
            if let Some(uid) = kept.uids.get(name) {
                remove(&self.revisions(), name, uid).await?;
            }
        }
        Ok(())
    }

    async fn forget_files(&self, name: &str) -> Result<(), kube::Error> {
        let maps = self.config_maps();
        let there = maps.get_metadata_opt(name).await?;
        let ours = there.filter(|there| controls(self.node, there));
        match ours.and_then(|there| there.metadata.uid) {
            Some(uid) => remove(&maps, name, &uid).await,
            None => Ok(()),
        }
    }

    /// Applies the Services that lead to the active pod where they are not as they should be, and removes
    /// those that are wanted no more. Those that somebody else made are left alone.
    pub async fn services(&self) -> Result<Services, kube::Error> {
        for (name, wanted) in build::services(self.node) {
            if self.service(&name, wanted.as_ref()).await? == Service::NotOurs {
                return Ok(Services::NotOurs(name));
            }
        }
        Ok(Services::AsWanted)
    }

    /// Applies the budgets that keep the active and its standbys from being evicted at once. What somebody
    /// else made under their names is left alone; returns that name.
    pub async fn budgets(
        &self,
        standbys_kept: usize,
        active: &str,
    ) -> Result<Option<String>, kube::Error> {
        let budgets: Api<PodDisruptionBudget> =
            Api::namespaced(self.client.clone(), &self.namespace);
        for (name, wanted) in build::budgets(self.node, standbys_kept, active) {
            let there = budgets.get_opt(&name).await?;
            if let Some(there) = &there
                && !self.may_change(there).await?
            {
                return Ok(Some(name));
            }
            let as_wanted = there.is_some_and(|there| {
                let counted_for = |budget: &PodDisruptionBudget| {
                    budget.annotations().get(BUDGET_ACTIVE_ANNOTATION).cloned()
                };
                controls(self.node, &there)
                    && there.spec == wanted.spec
                    && counted_for(&there) == counted_for(&wanted)
            });
            if !as_wanted {
                let parameters = PatchParams::apply(FIELD_MANAGER).force();
                budgets
                    .patch(&name, &parameters, &Patch::Apply(&wanted))
                    .await?;
            }
        }
        Ok(None)
    }

    async fn service(
        &self,
        name: &str,
        wanted: Option<&ApiService>,
    ) -> Result<Service, kube::Error> {
        let services: Api<ApiService> = Api::namespaced(self.client.clone(), &self.namespace);
        let there = services.get_opt(name).await?;
        let may_change = match &there {
            Some(there) => self.may_change(there).await?,
            None => true,
        };
        let Some(wanted) = wanted else {
            let there = there.filter(|_| may_change);
            if let Some(uid) = there.and_then(|there| there.metadata.uid) {
                remove(&services, name, &uid).await?;
            }
            return Ok(Service::AsWanted);
        };
        if !may_change {
            return Ok(Service::NotOurs);
        }
        let ours = |there: &ApiService| controls(self.node, there);
        if there.is_some_and(|there| ours(&there) && is_as_wanted(&there, wanted)) {
            return Ok(Service::AsWanted);
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        services
            .patch(name, &parameters, &Patch::Apply(wanted))
            .await
            .map(|_| Service::AsWanted)
    }
}

/// Whether something could be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeping {
    Done,
    /// Its name is taken; says by what.
    NotOurs(String),
}

/// What stands of the Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Services {
    /// They lead to the active.
    AsWanted,
    /// This name is taken.
    NotOurs(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    AsWanted,
    NotOurs,
}

fn is_as_wanted(there: &ApiService, wanted: &ApiService) -> bool {
    let subset = |some: Option<&BTreeMap<String, String>>,
                  all: Option<&BTreeMap<String, String>>| {
        some.is_none_or(|some| {
            some.iter()
                .all(|(key, value)| all.is_some_and(|all| all.get(key) == Some(value)))
        })
    };
    let (Some(is), Some(should)) = (&there.spec, &wanted.spec) else {
        return false;
    };
    let ports = |spec: &k8s_openapi::api::core::v1::ServiceSpec| -> Vec<_> {
        spec.ports
            .iter()
            .flatten()
            .map(|port| (port.name.clone(), port.port, port.target_port.clone()))
            .collect()
    };
    // Where none is asked for, Kubernetes chooses.
    let node_ports_fit = is
        .ports
        .iter()
        .flatten()
        .zip(should.ports.iter().flatten())
        .all(|(is, should)| should.node_port.is_none() || is.node_port == should.node_port);
    is.selector == should.selector
        && node_ports_fit
        && is.type_ == should.type_
        && ports(is) == ports(should)
        && subset(
            wanted.metadata.labels.as_ref(),
            there.metadata.labels.as_ref(),
        )
        && subset(
            wanted.metadata.annotations.as_ref(),
            there.metadata.annotations.as_ref(),
        )
        && owns_no_more(there, "f:labels", wanted.metadata.labels.as_ref())
        && owns_no_more(there, "f:annotations", wanted.metadata.annotations.as_ref())
}

/// Whether nothing is left of what the operator once applied and wants no more. Server-side apply keeps who set which
/// field, so that what others wrote into the same object is told apart and left alone.
fn owns_no_more(
    there: &ApiService,
    field: &str,
    wanted: Option<&BTreeMap<String, String>>,
) -> bool {
    let applied = there.metadata.managed_fields.iter().flatten().filter(|by| {
        by.manager.as_deref() == Some(FIELD_MANAGER) && by.operation.as_deref() == Some("Apply")
    });
    let mut names = applied
        .filter_map(|by| by.fields_v1.as_ref()?.0["f:metadata"][field].as_object())
        .flat_map(|fields| fields.keys())
        .filter_map(|name| name.strip_prefix("f:"));
    names.all(|name| wanted.is_some_and(|wanted| wanted.contains_key(name)))
}

/// Bytes that nobody can guess.
fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn there(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other,
    }
}
