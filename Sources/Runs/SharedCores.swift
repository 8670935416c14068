import Collectives
import Foundation

/// Ranks of one node that have fewer cores to run on than there are ranks. A core counts once, however many hardware
/// threads it has. What is seen is the affinity masks of this job's ranks: not other jobs, nor a container's share of
/// processor time.
struct SharedCores: Equatable {
    /// A rank's node (ranks with equal numbers share memory), and the cores that its affinity mask allows it.
    struct Rank {
        let node: Int
        let host: String
        let cores: Set<Int>
    }

    let host: String
    let ranks: [Int]
    /// All that these ranks may run on.
    let cores: [Int]

    /// For each node where ranks share cores, the smallest set of cores that has to serve more ranks.
    static func find(among ranks: [Rank]) -> [SharedCores] {
        let nodes = Dictionary(grouping: ranks.indices) { ranks[$0].node }
        return nodes.sorted { $0.key < $1.key }.compactMap { _, members in
            let all = members.reduce(into: Set<Int>()) { $0.formUnion(ranks[$1].cores) }
            let sets = Set(members.map { ranks[$0].cores } + [all])
            let smallestFirst = sets.sorted { ($0.count, $0.min() ?? 0) < ($1.count, $1.min() ?? 0) }
            for cores in smallestFirst {
                let confined = members.filter { ranks[$0].cores.isSubset(of: cores) }
                if confined.count > cores.count {
                    return SharedCores(host: ranks[confined[0]].host, ranks: confined, cores: cores.sorted())
                }
            }
            return nil
        }
    }

    /// Among the ranks of `communicator`. Collective.
    static func find(_ communicator: any Communicator) throws -> [SharedCores] {
        let cores = try communicator.gather(values: coresOfThisProcess())
        let hosts = try communicator.gather(communicator.host)
        return find(
            among: cores.indices.map {
                Rank(node: communicator.nodes[$0], host: hosts[$0], cores: Set(cores[$0]))
            })
    }

    /// What the user should know and do; nil where no ranks share cores.
    static func warning(_ shared: [SharedCores]) -> String? {
        guard let first = shared.first else { return nil }
        let who =
            first.ranks.count == 2 ? "ranks \(first.ranks[0]) and \(first.ranks[1])" : "\(first.ranks.count) ranks"
        let cores = first.cores.count == 1 ? "core \(first.cores[0])" : "\(first.cores.count) cores"
        let others = shared.count - 1
        let also = others == 0 ? "" : " (and so on \(others) more node\(others == 1 ? "" : "s"))"
        return "\(who) on \(first.host) share \(cores)\(also), which is slower than a core for each. On a cluster "
            + "start no more ranks on a node than it has cores, hardware threads not counted, and bind each to its own "
            + "(mpirun --bind-to core, srun --cpu-bind=cores); on a laptop it does no harm"
    }

    /// Those that this process may run on, each by the number of its first hardware thread.
    static func coresOfThisProcess() -> [Int] {
        let processors = availableProcessors().enumerated().flatMap { index, word in
            (0 ..< 64).filter { word >> $0 & 1 == 1 }.map { index * 64 + $0 }
        }
        return Set(processors.map(core)).sorted()
    }

    /// The core of a hardware thread; where the kernel does not tell, each is one.
    private static func core(ofProcessor processor: Int) -> Int {
        let path = "/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"
        // "0-1" or "0,64".
        let siblings = try? String(contentsOfFile: path, encoding: .utf8)
        return siblings.flatMap { Int($0.prefix { $0.isNumber }) } ?? processor
    }
}
