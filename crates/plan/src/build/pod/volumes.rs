//! The volumes of a runner pod, and who sees which of them.

use drover_api::{
    names::GATEWAY_AUDIENCE,
    runner::{BIN_DIR, HOME_DIR, JOURNAL_DIR, RUN_DIR, TOKEN_DIR, WORKSPACE_DIR},
};
use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

const BIN: &str = "drover-bin";
const RUN: &str = "drover-run";
const JOURNAL: &str = "drover-journal";
const TOKEN: &str = "drover-token";
const WORKSPACE: &str = "workspace";
const HOME: &str = "home";
const TMP: &str = "tmp";

/// How long the broker's token is good for; the kubelet renews it at four fifths of that.
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn all() -> Vec<Volume> {
    let mut volumes: Vec<Volume> = [BIN, RUN, JOURNAL, WORKSPACE, HOME, TMP].map(empty_dir).into();
    volumes.push(token());
    volumes
}

fn empty_dir(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
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

pub(super) fn for_broker() -> Vec<VolumeMount> {
    vec![
        mount(BIN, BIN_DIR, Access::Read),
        mount(RUN, RUN_DIR, Access::Write),
        mount(JOURNAL, JOURNAL_DIR, Access::Write),
        mount(TOKEN, TOKEN_DIR, Access::Read),
        mount(WORKSPACE, WORKSPACE_DIR, Access::Read),
    ]
}

pub(super) fn for_agent() -> Vec<VolumeMount> {
    vec![
        mount(BIN, BIN_DIR, Access::Read),
        mount(RUN, RUN_DIR, Access::Write),
        mount(WORKSPACE, WORKSPACE_DIR, Access::Write),
        mount(HOME, HOME_DIR, Access::Write),
        mount(TMP, "/tmp", Access::Write),
    ]
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
