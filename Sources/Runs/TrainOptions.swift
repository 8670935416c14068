import Recipes

/// What the command line asks of a training run; nil and empty mean: as the configuration or the checkpoint says.
public struct TrainOptions: Sendable {
    public enum Resume: Sendable, Equatable {
        case no
        /// Continue where the run folder has a checkpoint, start where it has none.
        case auto
        case file(String)
    }

    public var preset: String?
    public var configurationFile: String?
    public var runFolder: String?
    public var resume = Resume.no
    /// In order; the shorthands of the command line come after `--set`.
    public var settings: [Setting] = []
    /// Seconds that the job may run.
    public var walltime: Double?
    /// A safetensors file of parameters that a new run starts from.
    public var initialValues: String?
    public var traceFile: String?
    public var traceSteps = 1
    /// Seconds without progress after which the rank behind is named, and after which the job is ended.
    public var stallWarn = 60
    public var stallAbort = 300
    public var dryRun = false
    public var quiet = false

    public init() {}
}
