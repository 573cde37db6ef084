//! Campaigning for one of several seats: each is an election of its own.

use std::time::Duration;

use futures_util::future::select_ok;
use incumbent::election::clock;
use incumbent::{CampaignError, Election, Leadership};

use crate::config::settings::Wait;

/// Campaigns for a seat, and returns which one was won. The free one with the lowest number comes first; if all are
/// held, the first that becomes free.
pub(super) async fn campaign(
    seats: &[Election],
    wait: Wait,
) -> Result<(usize, Leadership), CampaignError> {
    if let [seat] = seats {
        return Ok((0, campaign_for(seat, wait).await?));
    }
    let began = clock::now();
    let left = || match wait {
        Wait::For(time) => time.saturating_sub(clock::now().since(began)),
        Wait::Endless | Wait::No | Wait::Once(_) => Duration::MAX,
    };
    let mut held = None;
    for (number, seat) in seats.iter().enumerate() {
        match tokio::time::timeout(left(), seat.try_campaign()).await {
            Ok(Ok(leadership)) => return Ok((number, leadership)),
            Ok(Err(error @ CampaignError::Held { .. })) => held = Some(error),
            Ok(Err(error)) if wait == Wait::No => return Err(error),
            // It is met again below, if it lasts.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    if let Some(held) = held.take_if(|_| wait == Wait::No || left().is_zero()) {
        return Err(held);
    }
    let wait = match wait {
        Wait::For(_) => Wait::For(left()),
        wait => wait,
    };
    let campaigns = seats.iter().enumerate().map(|(number, seat)| {
        let won = async move { Ok((number, campaign_for(seat, wait).await?)) };
        Box::pin(won)
    });
    // The others leave when they are dropped, and release what they may have won meanwhile.
    let outcome = select_ok(campaigns).await.map(|(won, _)| won);
    outcome.map_err(|error| match (error, held) {
        // There was no time left to look again.
        (CampaignError::NotYet { .. }, Some(held)) => held,
        (error, _) => error,
    })
}

async fn campaign_for(election: &Election, wait: Wait) -> Result<Leadership, CampaignError> {
    match wait {
        Wait::Endless => election.campaign().await,
        Wait::No => election.try_campaign().await,
        Wait::For(time) => election.campaign_timeout(time).await,
        Wait::Once(at_least) => election.campaign_once(at_least).await,
    }
}
