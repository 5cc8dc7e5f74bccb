//! Problems as gRPC statuses.

use tonic::{Code, Status};

use crate::api::Problem;
use crate::api::problem::code;

pub(super) fn status(problem: &Problem) -> Status {
    let code = match problem.code.as_ref() {
        code::BAD_REQUEST => Code::InvalidArgument,
        code::UNAUTHENTICATED => Code::Unauthenticated,
        code::FORBIDDEN => Code::PermissionDenied,
        code::NOT_FOUND => Code::NotFound,
        code::TOO_LARGE | code::RATE_LIMITED => Code::ResourceExhausted,
        code::UNAVAILABLE => Code::Unavailable,
        code::TIMEOUT => Code::DeadlineExceeded,
        code::INTERNAL => Code::Internal,
        _ => Code::Unknown,
    };
    Status::new(code, format!("{}: {}", problem.code, problem.message))
}
