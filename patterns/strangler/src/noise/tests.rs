use super::learnt::{NAME_MAX, SHARED_MAX};
use super::*;
use crate::Share;
use crate::compare::Differences;

fn differing(places: &[&str]) -> Compared {
    let places = places.iter().map(|place| (*place).to_owned()).collect();
    Compared::Different(Differences { places: Some(places), ..Differences::default() })
}

#[test]
fn what_the_old_system_is_unsure_of_does_not_count() {
    let (noise, options) = (Noise::default(), NoiseOptions::default());
    assert_eq!(noise.judge(&Compared::Same, &options), Counted::Nothing, "not before it is known");
    for at in 0..100 {
        noise.learn(&if at % 4 == 0 { differing(&["$.id"]) } else { Compared::Same });
    }
    assert_eq!(noise.judge(&differing(&["$.id"]), &options), Counted::Same);
    assert_eq!(noise.judge(&differing(&["$.total"]), &options), Counted::Differs);
    assert_eq!(noise.judge(&differing(&["$.id", "$.total"]), &options), Counted::Differs);
    assert_eq!(noise.judge(&Compared::Incomparable("x".into()), &options), Counted::Nothing);
}

#[test]
fn a_noisy_place_counts_when_it_differs_by_more_than_its_noise() {
    let (noise, options) = (Noise::default(), NoiseOptions::default());
    for at in 0..200 {
        noise.learn(&if at % 20 == 0 { differing(&["$.rank"]) } else { Compared::Same });
    }
    let counted: Vec<Counted> = (0..60).map(|_| noise.judge(&differing(&["$.rank"]), &options)).collect();
    assert_eq!(counted.last(), Some(&Counted::Differs), "it always differs now, and did one time in twenty");
    let quiet = Noise::default();
    for at in 0..200 {
        quiet.learn(&if at % 20 == 0 { differing(&["$.rank"]) } else { Compared::Same });
        let compared = if at % 20 == 3 { differing(&["$.rank"]) } else { Compared::Same };
        assert_ne!(
            quiet.judge(&compared, &NoiseOptions { samples: 0, ..options.clone() }),
            Counted::Differs,
            "{at}"
        );
        if at == 0 {
            quiet.learn(&differing(&["$.rank"]));
        }
    }
}

#[test]
fn places_are_bounded() {
    let (noise, options) = (Noise::default(), NoiseOptions { samples: 0, ..NoiseOptions::default() });
    for at in 0..PLACES_MAX + 500 {
        noise.judge(&differing(&[&format!("$.p{at}")]), &options);
    }
    assert_eq!(noise.known().own.places.len(), PLACES_MAX + 1);
}

#[test]
fn without_replays_nothing_is_noise() {
    let options = NoiseOptions { replay_old: Share::NONE, ..NoiseOptions::default() };
    assert_eq!(Noise::default().judge(&differing(&["$.id"]), &options), Counted::Differs);
}

/// What two gateways know of the noise of a feature whose place `$.id` always differs, after so many replays each.
fn two(replays: u64) -> [Noise; 2] {
    let noises = [Noise::default(), Noise::default()];
    (0..replays).for_each(|_| noises.iter().for_each(|noise| noise.learn(&differing(&["$.id"]))));
    noises
}

/// What the store says once `noise` has added what it learnt.
fn shared(noise: &Noise, stored: Learnt) -> Learnt {
    let Some((merged, written)) = noise.merged(&stored) else {
        noise.follow(stored.clone(), &Learnt::default());
        return stored;
    };
    noise.follow(merged.clone(), &written);
    merged
}

#[test]
fn what_one_has_learnt_the_other_knows_and_nothing_is_added_twice() {
    let (options, [one, other]) = (NoiseOptions::default(), two(15));
    assert!(one.is_learning(&options) && other.is_learning(&options));
    let stored = shared(&one, Learnt::default());
    let stored = shared(&other, stored);
    assert!(one.is_learning(&options) && !other.is_learning(&options), "together they know enough");
    let stored = shared(&one, stored);
    assert_eq!((stored.replays, stored.places["$.id"].replayed), (30, 30));
    assert!(!one.is_learning(&options) && one.merged(&stored).is_none(), "there is nothing to add any more");
    let text = serde_json::to_string(&stored).expect("it is JSON");
    let fresh = Noise::default();
    fresh.follow(serde_json::from_str(&text).expect("it reads what it writes"), &Learnt::default());
    assert_eq!(fresh.judge(&differing(&["$.id"]), &options), Counted::Same, "also after a start");
    assert_eq!((fresh.places()[0].noise, fresh.replays()), (Rate::new(30, 30), 30));
}

#[test]
fn what_was_learnt_while_it_was_written_down_is_not_lost() {
    let [one, _] = two(10);
    let (merged, written) = one.merged(&Learnt::default()).expect("there is something to add");
    one.learn(&differing(&["$.id", "$.at"]));
    one.follow(merged.clone(), &written);
    let (merged, _) = one.merged(&merged).expect("one more");
    assert_eq!((merged.replays, merged.places["$.id"].replayed, merged.places["$.at"].replayed), (11, 11, 1));
}

#[test]
fn what_was_forgotten_does_not_come_back_from_who_has_not_heard_of_it() {
    let (options, [one, other]) = (NoiseOptions::default(), two(25));
    let stored = shared(&other, shared(&one, Learnt::default()));
    one.learn(&differing(&["$.id"]));
    let forgotten = Learnt::after(Some(&stored), 7);
    let stored = shared(&one, forgotten);
    assert!(one.is_learning(&options) && one.places().is_empty());
    assert_eq!((stored.replays, other.merged(&stored)), (0, None));
    one.learn(&Compared::Same);
    assert_eq!(shared(&one, stored).replays, 1, "from now on it is learnt anew");
}

#[test]
fn what_is_shared_is_bounded_and_the_noisiest_places_stay() {
    let noise = Noise::default();
    for at in 0..SHARED_MAX + 100 {
        noise.learn(&differing(&[&format!("$.p{at:04}")]));
    }
    (0..9).for_each(|_| noise.learn(&differing(&["$.zz"])));
    noise.learn(&differing(&[&format!("$.{}", "x".repeat(NAME_MAX))]));
    let stored = shared(&noise, Learnt::default());
    assert_eq!((stored.places.len(), stored.places["$.zz"].replayed), (SHARED_MAX, 9));
    assert_eq!(noise.places().len(), SHARED_MAX + 102, "here all of them are known");
    assert!(noise.merged(&stored).is_none(), "what has no room is not tried again and again");
    let old = Learnt { replays: REPLAYS_MAX, ..stored };
    noise.learn(&differing(&["$.zz"]));
    let aged = shared(&noise, old);
    assert_eq!((aged.replays, aged.places["$.zz"].replayed), (REPLAYS_MAX / 2, 5), "what is old weighs less");
}
