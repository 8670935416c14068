import Kernels
import Support

/// Vectors of one length that the ranks of a NUMA domain, or of a node, have once: all read them, each changes parts of
/// its own.
///
///     vectors.change { number, range in … }       // this rank's parts, one after another
///     try vectors.barrier()                       // from here on all ranks see what all have changed
///
/// Where a rank is alone there, and where there is no room for memory that is shared, it has vectors of its own, and
/// all parts are its own.
///
/// **Flipped bits.** Memory that each rank has for itself makes a rank differ from the others where one of its bits
/// flips. In what they have once all see the same, and no comparison of ranks finds it. So the owner of a part adds up
/// its bits, as whole numbers modulo 2³², when it has changed it, and looks whether they are the same when it changes
/// it the next time; ``requireUndisturbed(_:_:)`` has another rank look in between. A single flipped bit always changes
/// that sum.
public final class SharedVectors {
    public let vectors: [FloatBuffer]
    /// The ranks that have them in common, for all ranks.
    public let groups: [Range<Int>]
    /// Those that this rank is one of.
    public let group: Range<Int>
    /// Of a vector; each belongs to one rank of the group.
    public let parts: [Range<Int>]
    /// The numbers of this rank's.
    public let mine: [Int]

    private let memory: (any SharedMemory)?
    private let plain: FloatBuffer?
    private let rank: Int
    /// The owners of the parts.
    private let owners: [Int]
    /// A number for each part.
    private let numbers: UnsafeMutablePointer<Double>
    /// What this rank has made of its parts: the sum of the bits of each vector's.
    private var sums: [UInt32]
    private var wasDisturbed = false

    /// Values in a part, where nothing else divides the vectors: what is summed part by part does not depend on the
    /// number of ranks. Gradients are summed in the same parts.
    static let block = GradientSum.mostValuesOfPart

    /// Zeroed. `weights`: of the parts, where these do not take equally long. `groups`: the ranks that are to have them
    /// once, in order. Collective.
    public init(
        count: Int, number: Int, parts: [Range<Int>]? = nil, weights: [Int]? = nil, among groups: [Range<Int>],
        _ communicator: any Communicator
    ) throws {
        let parts = parts ?? Self.blocks(count), total = Self.sharedCount(count, number: number, parts: parts.count)
        let group = groups.first { $0.contains(communicator.rank) }!
        var memory: (any SharedMemory)?
        if groups.contains(where: { $0.count > 1 }) {
            memory = try communicator.sharedMemory(count: total, group: group)
        }
        self.memory = memory
        self.parts = parts
        rank = communicator.rank
        self.groups = memory == nil ? communicator.everyRankAlone : groups
        self.group = memory == nil ? rank ..< rank + 1 : group
        let first = self.group.lowerBound
        owners = Self.owners(weights ?? parts.map(\.count), ranks: self.group.count).map { first + $0 }
        let (owners, rank) = (owners, rank)
        mine = parts.indices.filter { owners[$0] == rank }
        plain = memory == nil ? FloatBuffer(count: total) : nil
        let values = memory?.values ?? plain!.values, owner: AnyObject = memory ?? plain!
        let step = Self.step(count)
        vectors = (0 ..< number).map { FloatBuffer(values[$0 * step ..< $0 * step + count], of: owner) }
        numbers = UnsafeMutableRawPointer(values.base + number * step)
            .bindMemory(to: Double.self, capacity: parts.count)
        sums = [UInt32](repeating: 0, count: number)
        // The pages belong to the processor that touches them first.
        if memory != nil {
            for part in mine {
                for vector in vectors { vector.values[parts[part]].fill(0) }
                numbers[part] = 0
            }
            try barrier()
        }
    }

    /// Whether the ranks of every group have these vectors once.
    public var isShared: Bool { memory != nil }

    // MARK: - The parts

    /// A vector in blocks.
    private static func blocks(_ count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: block).map { $0 ..< min($0 + block, count) }
    }

    /// From one vector to the next: their cache lines do not all fall into the same sets.
    private static func step(_ count: Int) -> Int { (count + 1023) / 1024 * 1024 + 64 }

    private static func sharedCount(_ count: Int, number: Int, parts: Int) -> Int { number * step(count) + 2 * parts }

    /// How many values of shared memory `number` vectors in blocks take.
    public static func sharedCount(_ count: Int, number: Int) -> Int {
        sharedCount(count, number: number, parts: blocks(count).count)
    }

    /// Neighbouring parts to a rank where all weigh the same, or nearly; else the heaviest first, each to the rank that
    /// has least.
    static func owners(_ weights: [Int], ranks: Int) -> [Int] {
        let heaviest = weights.max() ?? 0
        if weights.dropLast().allSatisfy({ $0 == heaviest }) {
            return weights.indices.map { $0 * ranks / weights.count }
        }
        var owners = [Int](repeating: 0, count: weights.count), loads = [Int](repeating: 0, count: ranks)
        for part in weights.indices.sorted(by: { (weights[$0], $1) > (weights[$1], $0) }) {
            let least = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) }!
            owners[part] = least
            loads[least] += weights[part]
        }
        return owners
    }

    /// This rank's parts where they are neighbours.
    public var slice: Range<Int> {
        guard let first = mine.first, let last = mine.last else { return 0 ..< 0 }
        precondition(last - first == mine.count - 1, "parts \(mine) are no neighbours")
        return parts[first].lowerBound ..< parts[last].upperBound
    }

    // MARK: - Changing them

    /// Has `change` make something else of each of this rank's parts, in all vectors; ``barrier()`` shows it to the
    /// others, none of which may read the part meanwhile.
    public func change(_ change: (_ number: Int, _ range: Range<Int>) -> Void) {
        let isWatched = group.count > 1
        var made: UInt32 = 0, found: UInt32 = 0
        for index in sums.indices {
            made &+= sums[index]
            sums[index] = 0
        }
        for part in mine {
            if isWatched { for vector in vectors { found &+= sumOfBits(vector.values[parts[part]]) } }
            change(part, parts[part])
            guard isWatched else { continue }
            for index in sums.indices { sums[index] &+= sumOfBits(vectors[index].values[parts[part]]) }
        }
        if isWatched, made != found { wasDisturbed = true }
    }

    /// The same where each part's change has a number; all ranks see the changes then, and get the sum of all numbers
    /// in the order of parts.
    public func changeSumming(_ change: (_ number: Int, _ range: Range<Int>) -> Double) throws -> Double {
        self.change { numbers[$0] = change($0, $1) }
        try barrier()
        return parts.indices.reduce(0) { $0 + numbers[$1] }
    }

    /// Waits for all ranks of the group; what each wrote before is seen by all after.
    public func barrier() throws { try memory?.barrier() }

    /// Some ranks have written to parts that need not be theirs, as at the start. Collective.
    public func settle() throws {
        try barrier()
        sums = presentSums(of: rank)
        wasDisturbed = false
    }

    /// Gives the vectors that rank `root` has to all ranks. Collective.
    public func share(from root: Int, _ communicator: any Communicator) throws {
        // One rank of each other group receives; the others take part, for a broadcast is everybody's.
        let receives = rank == group.lowerBound && !group.contains(root)
        let piece = FloatBuffer(count: min(vectors[0].count, 1 << 18))
        for vector in vectors where groups.count > 1 {
            for start in stride(from: 0, to: vector.count, by: piece.count) {
                let range = start ..< min(start + piece.count, vector.count), values = piece.values[0 ..< range.count]
                if rank == root { values.copy(from: vector.values[range]) }
                try communicator.broadcast(UnsafeMutableRawBufferPointer(values.bytes), from: root)
                if receives { vector.values[range].copy(from: values) }
            }
        }
        try settle()
    }

    // MARK: - Comparing them

    /// The sum of the bits of each vector, in the parts of a rank of the group.
    private func presentSums(of owner: Int) -> [UInt32] {
        vectors.map { vector in
            parts.indices.lazy.filter { self.owners[$0] == owner }
                .reduce(0) { $0 &+ sumOfBits(vector.values[self.parts[$1]]) }
        }
    }

    /// Throws the same failure on every rank where a part is not what its owner has made of it: of the parts of each
    /// rank its neighbour looks. `subject`: what these vectors are. Collective.
    public func requireUndisturbed(_ communicator: any Communicator, _ subject: @autoclosure () -> String) throws {
        guard isShared else { return }
        let next = rank + 1 < group.upperBound ? rank + 1 : group.lowerBound
        let all = try communicator.gather(values: [wasDisturbed ? 1 : 0] + sums + presentSums(of: next))
        for owner in all.indices {
            let group = groups.first { $0.contains(owner) }!
            let neighbour = owner > group.lowerBound ? owner - 1 : group.upperBound - 1
            let made = all[owner][1 ... sums.count], found = all[neighbour][(1 + sums.count)...]
            if all[owner][0] == 0, group.count == 1 || made.elementsEqual(found) { continue }
            let host = try communicator.gather(communicator.host)[owner]
            throw AgreedFailure(
                Failure(
                    .internalError,
                    "\(subject()) are not what rank \(owner) (host \(host)) has made of them",
                    remedy: """
                        Something else has changed its part of what the ranks there have once: look for faulty memory, \
                        then run again with --resume auto.
                        """))
        }
    }

    /// Equal on all ranks where all groups have the same; 0 where there is nothing to compare with. Collective.
    public func fingerprint(_ communicator: any Communicator) throws -> UInt64 {
        if groups.count == 1 { return 0 }
        var hash: UInt64 = 0
        for (number, vector) in vectors.enumerated() {
            for part in mine {
                let seed = UInt64(number * parts.count + part)
                hash &+= Collectives.fingerprint(of: vector.values[parts[part]], seed: seed)
            }
        }
        return try communicator.gather(hash)[group].reduce(0, &+)
    }
}
