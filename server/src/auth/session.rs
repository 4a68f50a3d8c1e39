//! When a refresh token is good. Pure decisions.
//!
//! Each refresh token is used for the next pair, and is then worth nothing as soon as its successor was used. Until
//! then it still is: a client may die after it has sent the token and before it has saved the answer. Whoever comes
//! with a token that is worth nothing any more holds a copy, or is the one it was copied from; nobody can tell
//! which, so the session ends.

use super::token::Claims;
use crate::store::Session;

/// What a refresh token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It comes for the first time; its predecessor and its siblings are worth nothing from now on.
    First,
    /// It came before, and none of its successors did.
    Again,
    /// It was replaced: the session ends.
    Reused,
}

/// Judges a signed and unexpired refresh token of an open session.
pub fn judge(session: &Session, token: &Claims) -> RefreshVerdict {
    if token.generation > session.used_generation {
        RefreshVerdict::First
    } else if token.generation == session.used_generation && token.token_id == session.used_token_id {
        RefreshVerdict::Again
    } else {
        RefreshVerdict::Reused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::token::Purpose, time::UnixMillis};

    fn token(generation: i64) -> Claims {
        Claims::new(1, "session", generation, Purpose::Refresh, UnixMillis(0))
    }

    fn session_after(used: &Claims) -> Session {
        Session { used_generation: used.generation, used_token_id: used.token_id.clone() }
    }

    #[test]
    fn a_token_is_good_until_its_successor_was_used() {
        let (first, second) = (token(1), token(2));
        let fresh = Session { used_generation: 0, used_token_id: String::new() };
        assert_eq!(judge(&fresh, &first), RefreshVerdict::First);
        assert_eq!(judge(&session_after(&first), &first), RefreshVerdict::Again);
        assert_eq!(judge(&session_after(&first), &second), RefreshVerdict::First);
        assert_eq!(judge(&session_after(&second), &first), RefreshVerdict::Reused);
    }

    #[test]
    fn of_two_successors_only_one_can_be_used() {
        let (second, sibling) = (token(2), token(2));
        assert_eq!(judge(&session_after(&second), &sibling), RefreshVerdict::Reused);
        assert_eq!(judge(&session_after(&second), &second), RefreshVerdict::Again);
    }
}
