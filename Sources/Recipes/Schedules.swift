import Nets
import Support
import Yams

extension Section {
    private enum ScheduleKind: String, CaseIterable { case constant, linear, exponential, cosine }
    private enum TimeUnit: String, CaseIterable { case steps, epochs, examples }

    /// A number that may follow a schedule: `0.999`,
    /// `{schedule: linear | exponential | cosine, from: 0.9, to: 0.99, over: 10000, unit: steps, warmup: 0}` or
    /// `{schedule: constant, value: 0.99, unit: steps, warmup: 100}`, all values within `allowed`.
    func schedule(
        _ key: String, default standard: Double? = nil, _ allowed: ClosedRange<Double>, meaning: String,
        otherForms: [String] = []
    ) throws(Failure) -> Schedule {
        guard case .mapping = node(key) else {
            let (low, high) = (Numeral.text(max(allowed.lowerBound, 0)), Numeral.text(min(allowed.upperBound, 1)))
            let forms = ScheduleKind.allCases.map { kind in
                kind == .constant
                    ? "{schedule: constant, value: \(high)}"
                    : "{schedule: \(kind.rawValue), from: \(high), "
                        + "to: \(kind == .exponential ? high : low), over: 1000}"
            }
            return .constant(
                try number(key, default: standard, allowed, meaning: meaning, alternatives: otherForms + forms))
        }
        return try section(key) { (section) throws(Failure) in
            guard section.node("schedule") != nil else {
                throw section.missing("schedule", remedy: "Say how the number goes on: linear, exponential or cosine.")
            }
            let kind = try section.choice(
                "schedule", default: ScheduleKind.constant, meaning: "how the number goes on")
            let course = try section.course(kind, allowed)
            let unit = try section.choice(
                "unit", default: TimeUnit.steps, meaning: "what `over` and `warmup` count")
            let warmup = try section.integer(
                "warmup", default: 0, 0 ... .max,
                meaning: "the value grows from 0 in a straight line for so long, and only then the schedule begins")
            if warmup > 0 { try section.checkWarmup(unit, allowed) }
            return Schedule(course, unit: Schedule.Unit(rawValue: unit.rawValue)!, warmup: warmup)
        }
    }

    private func course(_ kind: ScheduleKind, _ allowed: ClosedRange<Double>) throws(Failure) -> Schedule.Course {
        if kind == .constant { return .constant(try number("value", allowed, meaning: "the number")) }
        let from = try number("from", allowed, meaning: "the value at the start")
        let to = try number("to", allowed, meaning: "the value after `over`, and from then on")
        let over = try integer("over", 1 ... .max, meaning: "how long it goes from `from` to `to`")
        switch kind {
        case .constant, .linear: return .linear(from: from, to: to, over: over)
        case .cosine: return .cosine(from: from, to: to, over: over)
        case .exponential:
            for (key, value) in [("from", from), ("to", to)] where value <= 0 {
                throw .configuration(
                    name(key), "\(value) is not above 0, and an exponential schedule goes on by factors",
                    remedy: "Give a number above 0, or schedule: linear.")
            }
            return .exponential(from: from, to: to, over: over)
        }
    }

    private func checkWarmup(_ unit: TimeUnit, _ allowed: ClosedRange<Double>) throws(Failure) {
        guard unit != .epochs else {
            throw .configuration(
                name("warmup"), "epochs are counted whole: the value would be 0 all through the first one",
                remedy: "Use unit: steps or examples, or leave the warm-up out.")
        }
        guard allowed.contains(0) else {
            throw .configuration(
                name("warmup"), "it begins at 0, which is outside \(Section.text(allowed))",
                remedy: "Leave it out, or use schedule: linear.")
        }
    }

    /// The same, or one of a learning rate's older forms, whose time is counted in updates of the network:
    /// `{initial: 0.1, decay: 1.000004, floor: 1.0e-6}` or `{initial: 0.1, final: 0.01, steps: 1000}`.
    func rate(_ key: String, default standard: Double, meaning: String) throws(Failure) -> Schedule {
        guard case .mapping(let mapping) = node(key), !Self.isSchedule(mapping) else {
            return try schedule(
                key, default: standard, 0 ... 1e6, meaning: meaning,
                otherForms: [
                    "{initial: 0.1, decay: 1.000004, floor: 1.0e-6}", "{initial: 0.1, final: 0.01, steps: 1000}",
                ])
        }
        let linear = mapping["final"] != nil || mapping["steps"] != nil
        return try section(key) { (rate) throws(Failure) in
            let initial = try rate.number("initial", 0 ... 1e6, meaning: "the rate of the first update")
            if linear {
                let final = try rate.number("final", 0 ... 1e6, meaning: "linear: the rate from update `steps` on")
                let steps = try rate.integer(
                    "steps", 1 ... .max,
                    meaning: "linear: updates in which the rate goes in a straight line from `initial` to `final`")
                return Schedule(.linear(from: initial, to: final, over: steps), unit: .updates)
            }
            let decay = try rate.number(
                "decay", 1 ... 1e6, meaning: "exponential: the rate is divided by it at each update")
            let floor = try rate.number(
                "floor", default: 0, 0 ... 1e6, meaning: "exponential: the rate goes no lower")
            return Schedule(.decay(initial: initial, decay: decay, floor: floor), unit: .updates)
        }
    }

    /// The same, or a momentum's older form, `{from: 0.5, to: 0.7, epochs: 250}`: linear over epochs 1 … n.
    func momentum(_ key: String, meaning: String) throws(Failure) -> Schedule {
        let allowed = 0 ... 0.999_999
        guard case .mapping(let mapping) = node(key), !Self.isSchedule(mapping) else {
            return try schedule(
                key, default: 0, allowed, meaning: meaning, otherForms: ["{from: 0.5, to: 0.7, epochs: 250}"])
        }
        return try section(key) { (ramp) throws(Failure) in
            let from = try ramp.number("from", allowed, meaning: "the momentum of the first epoch")
            let to = try ramp.number("to", allowed, meaning: "the momentum from epoch `epochs` on")
            let over = try ramp.integer(
                "epochs", 1 ... .max,
                meaning: "epochs in which the momentum goes in a straight line from `from` to `to`")
            return Schedule(.ramp(from: from, to: to, over: over), unit: .epochs)
        }
    }

    /// Whether a key says so that none of the older forms has.
    private static func isSchedule(_ mapping: Node.Mapping) -> Bool {
        ["schedule", "value", "over", "unit", "warmup"].contains { mapping[$0] != nil }
    }
}
