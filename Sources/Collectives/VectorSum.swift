import CKernels
import Kernels

/// target = left + right, value by value; `target` may be either of them.
func add(
    _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, count: Int
) {
    kernels().pointee.sum(left, right, target, count)
}

/// target = source · factor; they may be the same.
func scale(_ source: UnsafePointer<Float>, by factor: Float, into target: UnsafeMutablePointer<Float>, count: Int) {
    kernels().pointee.scale(source, factor, target, count)
}

/// Evaluates the steps of a ``SumTree`` over vectors, block by block, so that what lies between sources and results
/// stays in the first-level cache: each source is read once and each result written once.
final class VectorSum {
    let sources: Int
    let results: Int
    private let steps: [SumTree.Step]
    private let scratch: FloatBuffer
    /// Values in a block: 8 KiB.
    private static let block = 2048

    init(_ tree: SumTree, from sources: [SumTree.Node], to targets: [SumTree.Node]) {
        let (steps, blocks) = tree.steps(from: sources, to: targets)
        self.steps = steps
        self.sources = sources.count
        results = targets.count
        scratch = FloatBuffer(count: blocks * VectorSum.block)
    }

    /// Adds vectors of equal length, or of each the values in `range`, of which the results have the sums first; these
    /// are multiplied by `factor`. A result may be the memory of a source.
    func callAsFunction(_ vectors: [Floats], in range: Range<Int>? = nil, into targets: [Floats], factor: Float) {
        precondition(
            vectors.count == sources && targets.count == results,
            "\(vectors.count) vectors into \(targets.count), not \(sources) into \(results)")
        let range = range ?? 0 ..< targets[0].count, (first, count) = (range.lowerBound, range.count)
        precondition(
            range.upperBound <= vectors[0].count && count <= targets[0].count,
            "values \(range) of \(vectors[0].count) into \(targets[0].count)")
        let block = VectorSum.block
        let scratch = scratch.values.base
        var start = 0
        while start < count {
            let length = min(block, count - start)
            func place(_ place: SumTree.Place) -> UnsafeMutablePointer<Float> {
                switch place {
                case .source(let number): vectors[number].base + first + start
                case .scratch(let number): scratch + number * block
                case .result(let number): targets[number].base + start
                }
            }
            for step in steps {
                let target = place(step.target), left = place(step.left)
                if let right = step.right {
                    add(left, place(right), into: target, count: length)
                } else if target != left {
                    target.update(from: left, count: length)
                }
                if factor != 1, case .result = step.target { scale(target, by: factor, into: target, count: length) }
            }
            start += length
        }
    }
}
