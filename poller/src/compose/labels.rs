//! The labels by which Compose knows its containers, as `docker compose` writes them. Not here: what they tell.

/// The project's name.
pub(crate) const PROJECT: &str = "com.docker.compose.project";
/// The service in the file.
pub(crate) const SERVICE: &str = "com.docker.compose.service";
/// `True` of a single run of a service, by `docker compose run`.
pub(crate) const ONEOFF: &str = "com.docker.compose.oneoff";
/// What the service's settings were when it was made.
pub(crate) const HASH: &str = "com.docker.compose.config-hash";
/// The files that the project was read from, with a comma between them.
pub(crate) const FILES: &str = "com.docker.compose.project.config_files";
/// The folder that their paths begin in.
pub(super) const FOLDER: &str = "com.docker.compose.project.working_dir";
/// The files of variables that it was read with, with a comma between them.
pub(super) const ENV_FILES: &str = "com.docker.compose.project.environment_file";
/// What the service depends on, each with how, with a comma between them.
pub(super) const DEPENDS_ON: &str = "com.docker.compose.depends_on";
