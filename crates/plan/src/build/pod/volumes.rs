//! The volumes of a runner pod, and who sees which of them.

use drover_api::{
    Session,
    names::GATEWAY_AUDIENCE,
    runner::{BIN_DIR, HOME_DIR, JOURNAL_DIR, RUN_DIR, STATE_DIR, TOKEN_DIR, WORKSPACE_DIR},
};
use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, ProjectedVolumeSource, ServiceAccountTokenProjection,
    Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::run_name;
use crate::build::claim::wanted;

const BIN: &str = "drover-bin";
const RUN: &str = "drover-run";
const JOURNAL: &str = "drover-journal";
const STATE: &str = "drover-state";
const TOKEN: &str = "drover-token";
const WORKSPACE: &str = "workspace";
const HOME: &str = "home";
const TMP: &str = "tmp";
/// The one volume of what a claim holds: workspace, home and the broker's state, each in a folder of its own.
const KEPT: &str = "kept";

/// How long the broker's token is good for; the kubelet renews it at four fifths of that.
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn all(session: &Session) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = [BIN, RUN, JOURNAL, TMP].map(|name| empty_dir(name, None)).into();
    volumes.push(token());
    match wanted(session) {
        Some(_) => volumes.push(claim(session)),
        None => {
            let limit = session.spec.workspace.as_ref().and_then(|w| w.empty_dir.as_ref()?.to_core_limit());
            volumes.push(empty_dir(STATE, None));
            volumes.extend([WORKSPACE, HOME].map(|name| empty_dir(name, limit.clone())));
        }
    }
    volumes
}

fn empty_dir(name: &str, size_limit: Option<Quantity>) -> Volume {
    let source = EmptyDirVolumeSource { size_limit, ..EmptyDirVolumeSource::default() };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

fn claim(session: &Session) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: run_name(session), read_only: None };
    Volume { name: KEPT.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

fn token() -> Volume {
    let source = ServiceAccountTokenProjection {
        audience: Some(GATEWAY_AUDIENCE.to_owned()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".to_owned(),
    };
    let projected = ProjectedVolumeSource {
        sources: Some(vec![VolumeProjection { service_account_token: Some(source), ..VolumeProjection::default() }]),
        ..ProjectedVolumeSource::default()
    };
    Volume { name: TOKEN.to_owned(), projected: Some(projected), ..Volume::default() }
}

pub(super) fn for_install() -> Vec<VolumeMount> {
    vec![mount(BIN, BIN_DIR, Access::Write)]
}

pub(super) fn for_broker(session: &Session) -> Vec<VolumeMount> {
    vec![
        mount(BIN, BIN_DIR, Access::Read),
        mount(RUN, RUN_DIR, Access::Write),
        mount(JOURNAL, JOURNAL_DIR, Access::Write),
        mount(TOKEN, TOKEN_DIR, Access::Read),
        kept(session, STATE, STATE_DIR),
        kept(session, WORKSPACE, WORKSPACE_DIR),
        kept(session, HOME, HOME_DIR),
    ]
}

pub(super) fn for_agent(session: &Session) -> Vec<VolumeMount> {
    vec![
        mount(BIN, BIN_DIR, Access::Read),
        mount(RUN, RUN_DIR, Access::Write),
        kept(session, WORKSPACE, WORKSPACE_DIR),
        kept(session, HOME, HOME_DIR),
        mount(TMP, "/tmp", Access::Write),
    ]
}

/// A folder that outlives the pod: a volume of its own, or a part of the claim.
fn kept(session: &Session, name: &str, path: &str) -> VolumeMount {
    match wanted(session) {
        Some(_) => VolumeMount { sub_path: Some(name.to_owned()), ..mount(KEPT, path, Access::Write) },
        None => mount(name, path, Access::Write),
    }
}

#[derive(PartialEq)]
enum Access {
    Read,
    Write,
}

fn mount(name: &str, path: &str, access: Access) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: (access == Access::Read).then_some(true),
        ..VolumeMount::default()
    }
}
