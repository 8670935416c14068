import Collectives
import Kernels
import Nets
import Support

/// What trains networks step by step, as a run, its checkpoints and its traces see it.
///
/// All that training is between two steps are its players, the moments of their optimisers among them, what else
/// ``sharedState`` lists, and the number of steps made. Random numbers and the order of the data are functions of the
/// seed and the step.
public protocol NetworkTrainer: AnyObject {
    associatedtype Report: TrainingReport

    var players: [Player] { get }
    /// Of no player; the same on every rank.
    var sharedState: [StateArray] { get }
    var stepsDone: Int { get }
    var shards: ShardTable { get }
    var communicator: any Communicator { get }
    var seed: UInt64 { get }
    /// Examples in a global minibatch, and minibatches of real ones that a step takes.
    var batch: Int { get }
    var minibatchesOfStep: Int { get }
    /// Where the time of the last step went.
    var clock: PhaseClock { get set }
    var trace: (any StepTrace)? { get set }
    var watchdog: Watchdog? { get set }
    /// What a generator makes samples with, the parameters as they are, and says of them what they are like.
    var sampler: Sampler { get }
    /// What makes the samples that are looked at and measured: the sampler, where there is a generator.
    var maker: any ExampleMaker { get }

    /// One step; every rank calls it together and gets the same report.
    ///
    /// `stopVote`: whether this rank wants to stop, `checkpointVote`: whether it has the outcome of a checkpoint; one
    /// such vote is enough for all (``TrainingReport/stopRequested``, ``TrainingReport/checkpointFinished``). Where a
    /// figure of the report is not finite the state is not to be kept.
    func step(stopVote: Bool, checkpointVote: Bool) throws -> Report

    /// The arrays have been given the state after so many steps, on all ranks. Collective.
    func resume(at step: Int) throws

    /// A hash of the gradients of a shard of generated examples with respect to the parameters of all players as they
    /// are, and of the update of some parameters by them: the same on every rank that computes rightly. Nothing of the
    /// state is changed.
    func hashOfGradients() throws -> UInt64
}

extension NetworkTrainer {
    public var maker: any ExampleMaker { sampler }

    /// Every rank enters the same phases in the same order, however many shards it has.
    package func enter(_ phase: Phase) { watchdog?.enter(phase, step: stepsDone + 1) }

    package func timed<Value>(_ phase: PhaseClock.Phase, _ body: () throws -> Value) rethrows -> Value {
        let start = monotonicSeconds()
        defer { clock.add(monotonicSeconds() - start, to: phase) }
        return try body()
    }

    /// Sums the shards' gradients over all ranks and moves the player's parameters; the gradient's squared norm.
    /// `inner`: the number of the player's update within the step.
    package func move(_ player: Player, inner: Int, at progress: Progress) throws -> Double {
        enter(.exchange)
        guard trace == nil, player.movesByParts else {
            let gradient = try timed(.communication) { try player.sumGradients() }
            trace?.gradient(gradient, of: player, inner: inner)
            return try timed(.optimiser) { try player.move(by: gradient, at: progress, batch: batch) }
        }
        let (squaredNorm, seconds) = try timed(.optimiser) { try player.sumAndMove(at: progress, batch: batch) }
        clock.add(seconds, to: .communication)
        clock.add(-seconds, to: .optimiser)
        return squaredNorm
    }
}

/// What a step came to, the same on every rank.
public protocol TrainingReport: Sendable {
    /// The step's number, from 1.
    var step: Int { get }
    /// Whether any rank voted to stop.
    var stopRequested: Bool { get }
    /// Whether rank 0 has the outcome of a checkpoint, which all have to agree on.
    var checkpointFinished: Bool { get }
    /// The first figure that is not finite, by its name in metrics.jsonl.
    var notFinite: (name: String, value: Double)? { get }
    /// Costs, gradients' norms and rates under their names in metrics.jsonl, those of spectral norms among them; nil
    /// where the objective gives a figure no meaning.
    func figures(spectralNorms: [(name: String, sigma: Double)]) -> [(name: String, value: Double?)]
    /// The costs, for people.
    var summary: String { get }
}
