use std::time::Duration;

use super::*;
use crate::Error;
use crate::options::OnBreach;

fn bounds(on_breach: OnBreach) -> Bounds {
    let ladder: Vec<Stage> = ["shadow", "compare", "1%", "25%", "complete", "retired"]
        .map(|text| text.parse().expect("a stage"))
        .into();
    Bounds::new("checkout", &ladder, on_breach, true, Duration::from_secs(60)).expect("a ladder")
}

fn at(stage: &str) -> State {
    State::first(stage.parse().expect("a stage"), Timestamp(0))
}

fn later(seconds: u64) -> Timestamp {
    Timestamp(0).after(Duration::from_secs(seconds))
}

fn does(state: &State, event: Event, seconds: u64) -> Option<State> {
    step("checkout", state, &bounds(OnBreach::Rollback), &event, ("ann", "because"), later(seconds))
        .expect("no order")
}

fn ordered(state: &State, order: Order) -> Result<State, Error> {
    let next = step(
        "checkout",
        state,
        &bounds(OnBreach::Rollback),
        &Event::Ordered(order),
        ("ann", "because"),
        later(1),
    )?;
    Ok(next.unwrap_or_else(|| state.clone()))
}

#[test]
fn stages_read_what_they_write() {
    for text in ["off", "shadow", "compare", "1%", "0.5%", "complete", "retired"] {
        assert_eq!(text.parse::<Stage>().map(|stage| stage.to_string()), Ok(text.to_owned()));
    }
    assert_eq!("100%".parse(), Ok(Stage::Complete));
    assert_eq!("retire".parse(), Ok(Stage::Retired));
    assert!("0%".parse::<Stage>().is_err() && "half".parse::<Stage>().is_err());
    let phases = ["shadow", "compare", "5%", "25%", "complete"]
        .map(|text| text.parse::<Stage>().expect("a stage").phase());
    assert_eq!(phases, ["shadow", "compare", "canary", "shift", "complete"]);
}

#[test]
fn a_pass_takes_it_one_rung_up_once_it_has_lasted_long_enough() {
    let state = at("compare");
    assert_eq!(does(&state, Event::Passed, 59), None);
    let next = does(&state, Event::Passed, 60).expect("it goes on");
    assert_eq!((next.stage.to_string().as_str(), next.epoch, next.entered), ("1%", 2, later(60)));
    assert_eq!((next.who.as_str(), next.why.as_str()), ("ann", "because"));
    assert_eq!(does(&at("complete"), Event::Passed, 600), None, "only silence retires");
    let by_hand = Bounds { automatic: false, ..bounds(OnBreach::Rollback) };
    assert_eq!(
        step("x", &state, &by_hand, &Event::Passed, ("gate", ""), later(600)).expect("no order"),
        None
    );
}

#[test]
fn a_fail_takes_everything_back_and_holds_it_there() {
    for stage in ["1%", "25%", "complete"] {
        let next = does(&at(stage), Event::Failed, 0).expect("it goes back");
        assert_eq!((next.stage, next.hold), (Stage::Compare, Some(Hold::Frozen)), "{stage}");
        assert_eq!(does(&next, Event::Passed, 6_000), None, "somebody looks first");
    }
    assert_eq!(does(&at("compare"), Event::Failed, 0), None, "nobody is served by the new side");
    let frozen = step("x", &at("25%"), &bounds(OnBreach::Freeze), &Event::Failed, ("gate", "x"), later(1));
    let frozen = frozen.expect("no order").expect("it freezes");
    assert_eq!((frozen.stage, frozen.hold, frozen.epoch), (at("25%").stage, Some(Hold::Frozen), 1));
    let held = State { hold: Some(Hold::Frozen), ..at("25%") };
    assert!(does(&held, Event::Failed, 0).is_some(), "what does not go on still goes back");
    let pinned = State { hold: Some(Hold::Pinned), ..at("25%") };
    assert_eq!(does(&pinned, Event::Failed, 0), None, "what somebody has decided stays");
}

#[test]
fn people_go_where_the_file_lets_them_in_both_directions() {
    let state = ordered(&at("shadow"), Order::Forward).expect("up");
    let state = ordered(&state, Order::Forward).expect("up");
    assert_eq!(state.stage.to_string(), "1%");
    let state = ordered(&state, Order::Back).expect("down");
    assert_eq!((state.stage, state.hold), (Stage::Compare, Some(Hold::Frozen)));
    let state = ordered(&state, Order::To("25%".parse().expect("a stage"))).expect("over a rung");
    assert_eq!((state.hold, state.epoch), (None, 5));
    assert!(matches!(
        ordered(&state, Order::To("50%".parse().expect("a stage"))),
        Err(Error::NotAllowed { .. })
    ));
    assert!(matches!(
        ordered(&at("retired"), Order::Forward),
        Err(Error::AtTheEnd { direction: "after", .. })
    ));
    assert!(matches!(ordered(&at("off"), Order::Back), Err(Error::AtTheEnd { direction: "before", .. })));
    assert_eq!(ordered(&at("retired"), Order::Back).expect("down").stage, Stage::Complete);
    assert_eq!(
        ordered(&at("shadow"), Order::To(Stage::Off)).expect("off is always allowed").stage,
        Stage::Off
    );
}

#[test]
fn the_kill_switch_works_at_any_stage_and_remembers_it() {
    for stage in ["shadow", "25%", "complete", "retired"] {
        let killed = ordered(&at(stage), Order::Kill).expect("it is killed");
        assert_eq!((killed.effective(), killed.epoch), (Stage::Off, 2), "{stage}");
        assert!(matches!(ordered(&killed, Order::Forward), Err(Error::Killed { .. })));
        for event in [Event::Passed, Event::Failed, Event::Unused] {
            assert_eq!(does(&killed, event, 6_000), None, "nothing lifts it by itself");
        }
        let back = ordered(&killed, Order::Revive).expect("it is lifted");
        assert_eq!((back.stage, back.hold, back.epoch), (at(stage).stage, Some(Hold::Frozen), 3));
    }
}

#[test]
fn a_file_that_allows_less_takes_it_down_and_never_up() {
    let next = does(&at("50%"), Event::Bounded, 1).expect("50% is not there any more");
    assert_eq!(next.stage.to_string(), "25%");
    assert_eq!(does(&at("25%"), Event::Bounded, 1), None);
    let small = Bounds { ladder: vec![Stage::Complete], ..bounds(OnBreach::Rollback) };
    let next = step("x", &at("25%"), &small, &Event::Bounded, ("file", ""), later(1)).expect("no order");
    assert_eq!(next.expect("it goes down").stage, Stage::Off);
}

#[test]
fn only_a_complete_move_is_retired_by_silence() {
    assert_eq!(does(&at("complete"), Event::Unused, 1).map(|next| next.stage), Some(Stage::Retired));
    assert_eq!(does(&at("25%"), Event::Unused, 1), None);
    let held = State { hold: Some(Hold::Frozen), ..at("complete") };
    assert_eq!(does(&held, Event::Unused, 1), None);
    let by_hand = Bounds { automatic: false, ..bounds(OnBreach::Rollback) };
    let retires = step("x", &at("complete"), &by_hand, &Event::Unused, ("gate", ""), later(1));
    assert_eq!(retires.expect("no order"), None, "where a person decides, silence is only told");
}

#[test]
fn a_ladder_rises() {
    let ladder = |stages: &[&str]| {
        let stages: Vec<Stage> = stages.iter().map(|text| text.parse().expect("a stage")).collect();
        Bounds::new("x", &stages, OnBreach::Rollback, true, Duration::ZERO)
    };
    assert!(ladder(&["shadow", "5%", "100%"]).is_ok());
    for wrong in [&[][..], &["5%", "1%"], &["shadow", "shadow"]] {
        assert!(matches!(ladder(wrong), Err(Error::Ladder { .. })));
    }
}
