//! Processes of an earlier towline.

use std::process::{Child, Command, Stdio};

use towline::process::{Leftover, end_leftover};

use super::*;
