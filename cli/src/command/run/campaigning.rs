//! Campaigning for an election, or for one of its seats.

use incumbent::election::Seats;
use incumbent::{CampaignError, Election, Leadership};

use crate::config::settings::Wait;

/// Campaigns, and returns the number of the seat that was won, if there are seats.
pub(super) async fn campaign(
    election: &Election,
    seats: Option<&Seats>,
    wait: Wait,
) -> Result<(Option<u16>, Leadership), CampaignError> {
    let led = match (seats, wait) {
        (Some(seats), wait) => {
            let seat = match wait {
                Wait::No => seats.try_campaign().await?,
                Wait::For(time) => seats.campaign_timeout(time).await?,
                Wait::Endless | Wait::Once(_) => seats.campaign().await?,
            };
            return Ok((Some(seat.number()), seat.into_inner()));
        }
        (None, Wait::Endless) => election.campaign().await?,
        (None, Wait::No) => election.try_campaign().await?,
        (None, Wait::For(time)) => election.campaign_timeout(time).await?,
        (None, Wait::Once(at_least)) => election.campaign_once(at_least).await?,
    };
    Ok((None, led))
}
