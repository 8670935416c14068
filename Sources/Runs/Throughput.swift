import Adversarial
import Support

/// How fast the steps since the last logged line went.
struct Throughput {
    private(set) var steps = 0
    private var samples = 0
    private var clock = PhaseClock()
    private var start = monotonicSeconds()
    private var last = monotonicSeconds()

    mutating func count(samples: Int, clock: PhaseClock) {
        steps += 1
        self.samples += samples
        last = monotonicSeconds()
        for phase in PhaseClock.Phase.allCases { self.clock.add(clock[phase], to: phase) }
    }

    mutating func restart() { self = Throughput(secondsBefore: secondsPerStep, samplesBefore: samplesPerSecond) }

    init(secondsBefore: Double = 0, samplesBefore: Double = 0) {
        before = (secondsBefore, samplesBefore)
    }

    /// The figures of the line before, shown until there is a step to go by.
    private let before: (seconds: Double, samples: Double)

    var secondsPerStep: Double { steps == 0 ? before.seconds : (last - start) / Double(steps) }
    var samplesPerSecond: Double { steps == 0 || last <= start ? before.samples : Double(samples) / (last - start) }
    func secondsPerStep(_ phase: PhaseClock.Phase) -> Double { steps == 0 ? 0 : clock[phase] / Double(steps) }
}
