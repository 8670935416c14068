import Collectives
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
}
