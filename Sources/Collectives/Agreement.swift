import Kernels
import Support

extension Communicator {
    /// Runs `body` on every rank and goes on only if it succeeded on all; else every rank throws the same
    /// ``AgreedFailure``, that of the lowest rank that has one, which is named unless all have the same or
    /// `namingRank` is false. For what may fail on one rank alone: a file, memory. Collective.
    @discardableResult
    public func agreed<Value>(namingRank: Bool = true, _ body: () throws -> Value) throws -> Value {
        let outcome = Result { try body() }
        var mine: Failure?
        if case .failure(let error) = outcome { mine = Failure.of(error) }
        guard try any(mine != nil) else { return try outcome.get() }
        let all = try gather(coded: mine)
        let rank = all.firstIndex { $0 != nil }!, failure = all[rank]!
        let isEverywhere = all.allSatisfy { $0?.description == failure.description }
        guard namingRank, !isEverywhere else { throw AgreedFailure(failure) }
        throw AgreedFailure(Failure(failure.code, "rank \(rank): \(failure.message)", remedy: failure.remedy))
    }

    /// Runs `body` on rank 0 and gives its value to all; if it fails, all fail. Collective.
    public func decidedByRoot<Value: Codable>(_ body: () throws -> Value) throws -> Value {
        let value = try agreed(namingRank: false) { rank == 0 ? try body() : nil }
        return try broadcast(coded: value)
    }

    /// Throws the same failure on every rank if `value` is not the same on all; it names the first rank that differs
    /// from the most frequent value (from rank 0's, if several are as frequent). `subject` is a plural: "the program
    /// versions". Collective.
    public func requireEqual(_ value: String, _ subject: @autoclosure () -> String) throws {
        try requireEqual(gather(value), subject()) { $0.isEmpty ? "nothing" : $0 }
    }

    /// The same for a 64-bit value, such as `fingerprint(of:)` of the parameters. Cheap enough for every so many steps.
    public func requireEqual(_ value: UInt64, _ subject: @autoclosure () -> String) throws {
        try requireEqual(gather(value), subject()) { hexadecimal($0) }
    }

    private func requireEqual<Value: Hashable>(
        _ values: [Value], _ subject: @autoclosure () -> String, _ text: (Value) -> String
    ) throws {
        if values.allSatisfy({ $0 == values[0] }) { return }
        var most = values[0], mostTimes = 0
        for value in values {
            let times = values.count { $0 == value }
            if times > mostTimes { (most, mostTimes) = (value, times) }
        }
        let rank = values.firstIndex { $0 != most }!, host = try gather(host)[rank]
        throw AgreedFailure(
            Failure(
                .internalError,
                "\(subject()) differ on rank \(rank) (host \(host)): \(text(values[rank])), "
                    + "where most ranks have \(text(most))",
                remedy: """
                    Check that every node has the same program, configuration and dataset; a rank that drifts in \
                    training has faulty hardware or memory.
                    """))
    }
}

private func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

extension InstructionSet {
    /// Has all ranks use the lowest set among theirs, and where their processors differ the same kernels of OpenBLAS.
    /// Collective, before the first product.
    static func agree(_ communicator: any Communicator) throws {
        let sets = try communicator.gather(Int32(current.index)), lowest = Int(sets.min()!)
        let blas = try communicator.gather(BLAS.kernels)
        if Set(sets).count > 1 || Set(blas).count > 1 { InstructionSet(index: lowest)!.use() }
    }
}
