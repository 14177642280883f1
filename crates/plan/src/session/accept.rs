//! Whether a Session can be run as written.

use drover_api::{framework::Framework, state::Reason};

use super::Observed;
use crate::frameworks::Lookup;

/// Why a Session cannot be run as written.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// The framework that runs the Session.
pub(super) fn accept<'a>(observed: &Observed<'a>) -> Result<&'a Framework, Refusal> {
    let name = &observed.session.spec.framework;
    match observed.frameworks.get(name) {
        Lookup::Found(framework) => Ok(framework),
        Lookup::Unknown(known) => Err(Refusal {
            reason: Reason::UnknownFramework,
            message: format!(
                "No framework is called {name:?}. Set spec.framework to one of: {}; or ask the platform admin to add it.",
                known.join(", ")
            ),
        }),
        Lookup::Invalid(why) => Err(Refusal {
            reason: Reason::InvalidFramework,
            message: format!(
                "The platform's entry for the framework {name:?} is not valid ({why}): ask the platform admin to correct it."
            ),
        }),
        Lookup::Unavailable(why) => Err(Refusal {
            reason: Reason::FrameworksUnavailable,
            message: format!("The registry of frameworks cannot be read: {why}. The Session starts once it can be."),
        }),
    }
}
