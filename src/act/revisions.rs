//! The kept revisions and their files. What is of one name is of one content, so nothing is ever changed: it is made where it
//! is missing, and removed where nothing needs it (rule L2). Files are found by their revision alone: it is made before them,
//! and removed after them.

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
use crate::cluster::{adoption, controls, may_adopt, remove, sentence};
use crate::domain::Revision;

/// The kept revisions, readable.
#[derive(Clone, Debug, Default)]
pub struct Revisions {
    pub revisions: BTreeMap<RevisionName, Revision>,
    pub contents: BTreeMap<RevisionName, Content>,
    /// Uids of the objects that were read.
    uids: BTreeMap<RevisionName, String>,
    newest: i64,
    /// The one that the spec asks for, also while it can't be kept whole.
    asked_for: Option<RevisionName>,
    /// Names of those that could not be read, and why.
    pub unread: Vec<String>,
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
                Err(error) => kept.unread.push(format!("{name}: {error}")),
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

    /// The revisions among these that are the resource's own, or are now: those of an earlier resource of this name are
    /// taken over with their files, whether or not the spec asks for them. Pods may have been made from them, and else they
    /// would stay for ever.
    ///
    /// Beside them stands why others could not be taken over: that is tried again in the next pass.
    pub async fn own(
        &self,
        listed: Vec<ControllerRevision>,
    ) -> (Vec<ControllerRevision>, Vec<String>) {
        let (mut own, mut left) = (Vec::new(), Vec::new());
        for object in listed {
            if controls(self.node, &object) {
                own.push(object);
                continue;
            }
            match self.take_over(&object).await {
                Ok(true) => own.push(object),
                Ok(false) => {}
                Err(error) => left.push(format!("{}: {}", object.name_any(), sentence(&error))),
            }
        }
        (own, left)
    }

    /// Whether a revision is the resource's own now. What can't be read stays where it is: its files are not known.
    async fn take_over(&self, object: &ControllerRevision) -> Result<bool, kube::Error> {
        match build::content_of(object) {
            Ok(content) => self.adopt_with_files(object, &content).await,
            Err(_) => Ok(false),
        }
    }

    /// The files first: a revision that is not the resource's own yet is found again after a crash between the two.
    async fn adopt_with_files(
        &self,
        object: &ControllerRevision,
        content: &Content,
    ) -> Result<bool, kube::Error> {
        if !may_adopt(self.client, self.node, object).await? {
            return Ok(false);
        }
        let maps = self.config_maps();
        for files in files_of(&RevisionName::new(object.name_any()), content) {
            if let Some(there) = maps.get_metadata_opt(&files).await? {
                self.claim(&maps, &there).await?;
            }
        }
        self.adopt(&self.revisions(), object).await?;
        Ok(true)
    }

    /// Keeps the revision that the spec asks for, and its files.
    pub async fn keep(
        &self,
        resolved: &Resolved,
        kept: &mut Revisions,
    ) -> Result<Kept, kube::Error> {
        kept.asked_for = Some(resolved.revision.name.clone());
        if !kept.revisions.contains_key(&resolved.revision.name) {
            let made = self.keep_alone(resolved, kept).await?;
            if made != Kept::Done {
                return Ok(made);
            }
        }
        self.keep_files(resolved).await
    }

    /// Keeps a new revision, still without its files.
    async fn keep_alone(
        &self,
        resolved: &Resolved,
        kept: &mut Revisions,
    ) -> Result<Kept, kube::Error> {
        let name = &resolved.revision.name;
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
    async fn adopt<K>(&self, api: &Api<K>, orphan: &impl ResourceExt) -> Result<(), kube::Error>
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
        let idle =
            |name: &RevisionName| !needed.contains(name) && kept.asked_for.as_ref() != Some(name);
        for (name, content) in kept.contents.iter().filter(|(name, _)| idle(name)) {
            // The files first: what is left by a crash between the two is found again by the revision.
            for files in files_of(name, content) {
                self.forget_files(&files).await?;
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

/// The names of the ConfigMaps of a revision.
fn files_of(name: &RevisionName, content: &Content) -> Vec<String> {
    let mut sources = content.files.iter().map(|(_, source)| source);
    let pinned = sources.any(|source| matches!(source, build::FileSource::Pinned(_)));
    let own = pinned.then(|| name.to_string());
    own.into_iter().chain(content.copies(name)).collect()
}

/// Whether something could be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Done,
    /// Its name is taken; says by what.
    NotOurs(String),
}
