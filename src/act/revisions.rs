//! The kept revisions and their files. What is of one name is of one content, so nothing is ever changed: it is made where it
//! is missing, and removed where nothing needs it (rule L2).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{ChainlinkNode, RevisionName};
use crate::build::{self, Content, Resolved};
use crate::cluster::{adoption, controls, may_adopt, remove};
use crate::domain::Revision;

/// The kept revisions, readable.
#[derive(Clone, Debug, Default)]
pub struct Revisions {
    pub revisions: BTreeMap<RevisionName, Revision>,
    pub contents: BTreeMap<RevisionName, Content>,
    /// Uids of the objects that were read.
    uids: BTreeMap<RevisionName, String>,
    newest: i64,
}

impl Revisions {
    /// Reads what is kept. What can't be read was made by a newer operator: it is left alone, and
    /// its pods are known by what they carry themselves.
    pub fn read(objects: &[ControllerRevision]) -> Self {
        let mut kept = Self::default();
        for object in objects {
            kept.newest = kept.newest.max(object.revision);
            let name = RevisionName::new(object.name_any());
            let uid = object.metadata.uid.clone();
            kept.uids.extend(uid.map(|uid| (name.clone(), uid)));
            match build::content_of(object) {
                Ok(content) => {
                    kept.revisions
                        .insert(name.clone(), content.named(name.clone()));
                    kept.contents.insert(name, content);
                }
                Err(error) => {
                    tracing::warn!(revision = %name, %error, "a kept revision can't be read");
                }
            }
        }
        kept
    }
}

/// Keeps the revisions of one resource.
pub struct RevisionStore<'a> {
    client: &'a Client,
    node: &'a ChainlinkNode,
    namespace: String,
}

impl<'a> RevisionStore<'a> {
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
    pub async fn keep(
        &self,
        resolved: &Resolved,
        kept: &mut Revisions,
    ) -> Result<Kept, kube::Error> {
        let files = self.keep_files(resolved).await?;
        let name = &resolved.revision.name;
        if files != Kept::Done || kept.revisions.contains_key(name) {
            return Ok(files);
        }
        let number = kept.newest + 1;
        let object =
            build::revision_object(self.node, resolved, number).map_err(kube::Error::SerdeError)?;
        let made = self.make(&self.revisions(), &object).await?;
        if made == Kept::Done {
            kept.newest = number;
            kept.revisions
                .insert(name.clone(), resolved.revision.clone());
            kept.contents.insert(name.clone(), resolved.content.clone());
        }
        Ok(made)
    }

    /// Makes the files of a revision where they are not there: it is new, its removal may have been begun,
    /// or somebody deleted them. Without them no pod of it starts.
    pub async fn keep_files(&self, resolved: &Resolved) -> Result<Kept, kube::Error> {
        let maps = self.config_maps();
        let files = build::config_map(self.node, resolved).into_iter();
        for map in files.chain(build::mounted_copies(self.node, resolved)) {
            let claim = match maps.get_metadata_opt(&map.name_any()).await? {
                Some(there) => self.claim(&maps, &there).await?,
                None => self.make(&maps, &map).await?,
            };
            if claim != Kept::Done {
                return Ok(claim);
            }
        }
        Ok(Kept::Done)
    }

    /// Makes an object, unless it is there already: then it has to be ours.
    async fn make<K>(&self, api: &Api<K>, object: &K) -> Result<Kept, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        match api.create(&PostParams::default(), object).await {
            Ok(_) => Ok(Kept::Done),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = api.get_metadata(&object.name_any()).await?;
                self.claim(api, &there).await
            }
            Err(error) => Err(error),
        }
    }

    async fn claim<K>(
        &self,
        api: &Api<K>,
        there: &PartialObjectMeta<K>,
    ) -> Result<Kept, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        if controls(self.node, there) {
            return Ok(Kept::Done);
        }
        if may_adopt(self.client, self.node, there).await? {
            self.adopt(api, there).await?;
            return Ok(Kept::Done);
        }
        Ok(Kept::NotOurs(format!(
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

    /// Removes the revisions that nothing needs any more.
    pub async fn forget_all_but(
        &self,
        needed: &BTreeSet<RevisionName>,
        kept: &Revisions,
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
                self.forget_files(name.as_str()).await?;
            }
            for copy in content.copies(name) {
                self.forget_files(&copy).await?;
            }
            // Without its uid it was made in this pass, and is needed.
            if let Some(uid) = kept.uids.get(name) {
                remove(&self.revisions(), name.as_str(), uid).await?;
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
}

/// Whether something could be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Done,
    /// Its name is taken; says by what.
    NotOurs(String),
}
