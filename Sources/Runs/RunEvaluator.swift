import Adversarial
import Collectives
import Recipes
import Support

/// What measures a run while it trains. The measures belong to a module above this one, which makes it.
public protocol RunEvaluator: AnyObject {
    /// The figure that the best checkpoint is known by, where one is asked for, and whether the lowest is the best.
    var best: (figure: String, isLowest: Bool)? { get }
    /// A number of what it measures with: figures of the same are comparable.
    var settings: UInt32 { get }

    /// Takes up what the jobs before have made of the real data alone. Collective.
    func prepare() throws

    /// Measures the state at hand, none of which it changes; the same figures on every rank. Throws an
    /// ``AgreedFailure`` of ``ExitCode/stoppedOnRequest`` where `isInterrupted` holds on a rank meanwhile. Collective.
    func measure(isInterrupted: @escaping () -> Bool) throws -> [Figure]
}

/// One of metrics.jsonl: `evaluation_…`.
public typealias Figure = (name: String, value: Double)

/// A run as those see it who measure it.
public struct MeasuredRun {
    public let configuration: any GeneratorConfiguration
    public let trainer: any NetworkTrainer
    public let data: TrainingData
    public let folder: RunFolder
    public let communicator: any Communicator
    public let console: Console
}

/// Makes the evaluator of a run whose configuration has `output.evaluate`; throws where that cannot be measured.
/// Collective.
public typealias RunEvaluatorMaker = (MeasuredRun) throws -> any RunEvaluator
