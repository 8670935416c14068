@testable import Nets
import Testing

@Suite struct ScheduleTests {
    private func at(_ time: Int, update: Int = 1) -> Progress {
        Progress(steps: time, epochs: 0, examples: 0, update: update)
    }

    /// The forms that were there first, to the bit: `rate(at: step)` of the update, `momentum(afterEpochs:)`.
    @Test func theOlderForms() {
        func rate(_ schedule: Schedule, _ step: Int) -> Double { schedule.value(at: at(0, update: step + 1)) }
        #expect(rate(.constant(0.3), 77) == 0.3)
        let decay = Schedule(.decay(initial: 0.1, decay: 1.000004, floor: 1e-6), unit: .updates)
        #expect(rate(decay, 0) == 0.1 && rate(decay, 10_000_000) == 1e-6)
        #expect(abs(rate(decay, 250_000) - 0.1 / 2.718276) < 1e-6)
        let linear = Schedule(.linear(from: 1, to: 0.5, over: 10), unit: .updates)
        #expect(rate(linear, 0) == 1 && rate(linear, 5) == 0.75 && rate(linear, 10) == 0.5 && rate(linear, 99) == 0.5)
        for step in 0 ..< 7 {
            let slow = Schedule(.linear(from: 0.001, to: 1e-5, over: 7), unit: .updates)
            #expect(rate(slow, step) == 0.001 + (1e-5 - 0.001) * Double(step) / Double(7))
        }
        func momentum(_ epochs: Int, after epoch: Int) -> Double {
            Schedule(.ramp(from: 0.5, to: 0.7, over: epochs), unit: .epochs)
                .value(at: Progress(steps: 7, epochs: epoch, examples: 9, update: 3))
        }
        #expect(momentum(250, after: 0) == 0.5 && momentum(250, after: 1) == 0.5 && momentum(250, after: 400) == 0.7)
        #expect(momentum(250, after: 125) == 0.5 + (0.7 - 0.5) * 124.0 / 249)
        #expect(momentum(1, after: 0) == 0.5 && momentum(1, after: 1) == 0.7)
    }

    @Test func coursesBeginAndEndExactly() {
        let courses: [(Schedule.Course, middle: Double)] = [
            (.linear(from: 0.9, to: 0.1, over: 8), 0.5), (.cosine(from: 0.9, to: 0.1, over: 8), 0.5),
            (.exponential(from: 0.9, to: 0.1, over: 8), 0.3),
        ]
        for (course, middle) in courses {
            let schedule = Schedule(course)
            #expect(schedule.value(at: at(0)) == 0.9 && schedule.value(at: at(8)) == 0.1)
            #expect(schedule.value(at: at(1_000_000)) == 0.1 && schedule.largest == 0.9)
            #expect(abs(schedule.value(at: at(4)) - middle) < 1e-15)
        }
        // A quarter of the way: cos 45°, and the fourth root.
        let cosine = Schedule(.cosine(from: 2e-4, to: 5e-5, over: 100))
        #expect(abs(cosine.value(at: at(25)) - (5e-5 + 1.5e-4 * (1 + 0.5.squareRoot()) / 2)) < 1e-18)
        let exponential = Schedule(.exponential(from: 1, to: 16, over: 100))
        #expect(abs(exponential.value(at: at(25)) - 2) < 1e-14)
    }

    @Test func theCourseBeginsWhereTheWarmupEnds() {
        let schedule = Schedule(.linear(from: 0.8, to: 0.4, over: 10), warmup: 4)
        let values = [0, 0.2, 0.4, 0.6, 0.8, 0.76]
        for (step, value) in values.enumerated() { #expect(abs(schedule.value(at: at(step)) - value) < 1e-15) }
        #expect(schedule.value(at: at(4)) == 0.8 && schedule.value(at: at(14)) == 0.4)
        #expect(schedule.value(at: at(13)) > 0.4)
        #expect(Schedule(.constant(3), warmup: 2).value(at: at(1)) == 1.5)
    }

    @Test func eachUnitIsItsOwn() {
        let progress = Progress(steps: 1, epochs: 2, examples: 2.5, update: 5)
        for (unit, value) in [(Schedule.Unit.steps, 0.1), (.epochs, 0.2), (.examples, 0.25), (.updates, 0.4)] {
            let schedule = Schedule(.linear(from: 0, to: 1, over: 10), unit: unit)
            #expect(abs(schedule.value(at: progress) - value) < 1e-15)
        }
    }
}
