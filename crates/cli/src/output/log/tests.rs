use drover_api::log::{Event, EventId, Kind, Stream};

use super::{Layout, Lines, Palette, Target};

fn lines(layout: Layout) -> Lines {
    Lines { layout, timestamps: false, palettes: [Palette::new(false); 2], open: [None, None] }
}

fn event(kind: Kind, stream: Option<Stream>, text: &str) -> Event {
    Event {
        id: EventId { attempt: 1, sequence: 1 },
        time: "2026-01-02T03:04:05.678Z".to_owned(),
        kind,
        stream,
        text: text.to_owned(),
        partial: false,
    }
}

fn partial(text: &str, stream: Stream) -> Event {
    Event { partial: true, ..event(Kind::Agent, Some(stream), text) }
}

#[test]
fn the_agents_streams_stay_apart_and_drover_speaks_on_stderr() {
    let mut lines = lines(Layout::Apart);
    let mut of = |kind, stream, text| lines.of(&event(kind, stream, text));
    assert_eq!(of(Kind::Agent, Some(Stream::Stdout), "a\tb"), (Target::Out, "a\tb\n".to_owned()));
    assert_eq!(of(Kind::Agent, Some(Stream::Stderr), "c"), (Target::Err, "c\n".to_owned()));
    assert_eq!(of(Kind::System, None, "started"), (Target::Err, "drover: started\n".to_owned()));
    assert_eq!(of(Kind::Error, None, "lost"), (Target::Err, "drover: error: lost\n".to_owned()));
    assert_eq!(of(Kind::Hook, Some(Stream::Stdout), "h"), (Target::Out, "hook: h\n".to_owned()));
}

#[test]
fn the_whole_log_goes_to_one_place_when_asked() {
    let system = event(Kind::System, None, "x");
    let agent = event(Kind::Agent, Some(Stream::Stdout), "x");
    assert_eq!(lines(Layout::Together).of(&system).0, Target::Out);
    assert_eq!(lines(Layout::Aside).of(&agent).0, Target::Err);
}

#[test]
fn a_line_in_pieces_is_joined() {
    let mut lines = lines(Layout::Together);
    assert_eq!(lines.of(&partial("one ", Stream::Stdout)).1, "one ");
    assert_eq!(lines.of(&partial("two ", Stream::Stdout)).1, "two ");
    assert_eq!(lines.of(&event(Kind::Agent, Some(Stream::Stdout), "three")).1, "three\n");
}

#[test]
fn another_writer_begins_a_line_of_its_own() {
    let mut together = lines(Layout::Together);
    assert_eq!(together.of(&partial("half", Stream::Stdout)).1, "half");
    assert_eq!(together.of(&event(Kind::System, None, "said")).1, "\ndrover: said\n");
    let mut apart = lines(Layout::Apart);
    assert_eq!(apart.of(&partial("half", Stream::Stdout)), (Target::Out, "half".to_owned()));
    assert_eq!(apart.of(&event(Kind::System, None, "said")), (Target::Err, "drover: said\n".to_owned()));
    assert_eq!(apart.of(&event(Kind::Agent, Some(Stream::Stdout), "rest")), (Target::Out, "rest\n".to_owned()));
}

#[test]
fn times_stand_at_the_beginning_of_lines() {
    let mut lines = Lines { timestamps: true, ..lines(Layout::Together) };
    assert_eq!(lines.of(&partial("a", Stream::Stdout)).1, "2026-01-02T03:04:05.678Z a");
    assert_eq!(lines.of(&event(Kind::Agent, Some(Stream::Stdout), "b")).1, "b\n");
}
