import Adversarial
import Collectives
import Support

/// The ranks that evaluate together, and what they show of it.
///
/// Work is cut into blocks of rows that do not depend on the number of ranks, and dealt to them in turn: so the
/// figures do not depend on it either.
public struct EvaluationContext {
    public let communicator: any Communicator
    public let console: Console

    /// Looked at before each block of rows: whether this rank wants to leave it there.
    private let isInterrupted: () -> Bool

    public init(
        _ communicator: any Communicator, _ console: Console, isInterrupted: @escaping () -> Bool = { false }
    ) {
        (self.communicator, self.console, self.isInterrupted) = (communicator, console, isInterrupted)
    }

    /// `width` numbers for each of `rows` rows, in their order, on every rank; `body` makes those of a block of at
    /// most `block` rows. Throws an ``AgreedFailure`` of ``ExitCode/stoppedOnRequest`` where a rank is interrupted.
    /// Collective.
    public func map<Value: BitwiseCopyable>(
        _ rows: Int, block: Int, width: Int = 1, _ title: String, _ body: (Range<Int>) throws -> [Value]
    ) throws -> [Value] {
        let (rank, ranks) = (communicator.rank, communicator.size)
        let blocks = (rows + block - 1) / block
        let mine = try communicator.agreed {
            var values: [Value] = []
            for number in stride(from: rank, to: blocks, by: ranks) {
                if isInterrupted() { throw Failure(.stoppedOnRequest, "\(title): interrupted", remedy: "") }
                console.progress(number, of: blocks, title)
                let range = number * block ..< min((number + 1) * block, rows)
                let part = try body(range)
                precondition(
                    part.count == range.count * width,
                    "\(title): \(part.count) numbers for \(range.count) rows of \(width)")
                values += part
            }
            return values
        }
        let all = try communicator.gather(values: mine)
        var result: [Value] = []
        result.reserveCapacity(rows * width)
        for number in 0 ..< blocks {
            let start = number / ranks * block * width
            result += all[number % ranks][start ..< start + (min((number + 1) * block, rows) - number * block) * width]
        }
        return result
    }
}
