import Collectives
import Recipes
import Storage

extension Communicator {
    /// Has rank 0 look at these datasets, of files that others made, in a child process, before any rank opens one.
    /// `options`: of the command at hand. Collective.
    public func inspect(_ datasets: [(file: String, dataset: String?)], options: DatasetOptions = .tool) throws {
        _ = try agreed(namingRank: false) {
            guard rank == 0 else { return }
            for (file, dataset) in datasets { try DatasetInspection.require(file, dataset: dataset, options: options) }
        }
        for (file, dataset) in datasets { DatasetInspection.vouch(file, dataset: dataset) }
    }

    /// The same of the examples in `file`, and of the vectors that stand beside them. Collective.
    public func inspect(_ file: String, of configuration: any GeneratorConfiguration) throws {
        try inspect([(file, configuration.data.dataset)], options: .configuration)
        let vectors = try decidedByRoot {
            configuration.condition?.dataset.flatMap { Dataset.holds($0, in: file) ? $0 : nil } ?? ""
        }
        if !vectors.isEmpty { try inspect([(file, vectors)], options: .conditions) }
    }
}
