import Foundation
import Kernels
import Nets
import Support

/// The passes of dense layers and convolutions over a grid of shapes, each alone on one core, with what computes it,
/// beside what the processor can do: what `gan-dist bench layers` prints.
///
/// A pass reads its two operands and writes its result at least once: FLOP / byte of those is its intensity, and it
/// can reach no more than min(peak, intensity · bandwidth), the roof of Williams, Waterman & Patterson 2009. Winograd's
/// form multiplies less than the direct one, whose operations are counted, and may lie above.
public struct LayerGrid: Encodable {
    public struct Pass: Encodable {
        /// `dense 1200 → 1200`, `convolution 3×3 stride 1, 64 → 64 channels, 32×32`.
        public let layer: String
        /// Examples.
        public let batch: Int
        public let pass: String
        public let algorithm: String
        /// Median of five.
        public let seconds: Double
        /// Of the direct form, 2 operations a multiplication, in 10⁹ a second.
        public let gflops: Double
        /// FLOP a byte of operands and result.
        public let intensity: Double
        /// Of a dense layer: OpenBLAS's time for the same product, alternating with it.
        public let secondsOfBLAS: Double?

        enum CodingKeys: String, CodingKey {
            case layer, batch, pass, algorithm, seconds, gflops, intensity, secondsOfBLAS = "seconds_of_blas"
        }
    }

    public let instructions: String
    /// Of OpenBLAS's product of matrices of 1024 × 1024, in 10⁹ a second.
    public let gflopsOfPeak: Double
    /// Of copying 256 MB: bytes read and bytes written.
    public let bytesPerSecond: Double
    public let passes: [Pass]

    enum CodingKeys: String, CodingKey {
        case instructions, passes, gflopsOfPeak = "gflops_of_peak", bytesPerSecond = "bytes_per_second"
    }

    private static let denseSizes = [(100, 1200), (256, 256), (784, 1200), (1024, 1024), (1200, 1200), (1024, 6272)]
    private static let denseBatches = [1, 2, 4, 8, 16, 64, 128, 256, 512]
    private static let kernels: [(size: Int, stride: Int)] = [(1, 1), (3, 1), (3, 2), (4, 2), (5, 1), (5, 2)]
    private static let channels = [(1, 64), (3, 64), (64, 3), (64, 64), (128, 128), (256, 256), (512, 512)]
    private static let sizes = [4, 7, 8, 14, 16, 28, 32]
    /// Channels of 3×3 convolutions in groups, and groups: of 16 channels, as in R3GAN, and depthwise.
    private static let grouped = [(64, 4), (256, 16), (512, 32), (64, 64), (256, 256)]
    private static let sizesOfGrouped = [7, 8, 14, 16, 32]
    private static let batches = [1, 4, 16, 64]
    /// Larger layers than any network here has are left out: multiplications for an example.
    private static let most = 2 << 26

    /// `only`: of the layers whose name has this in it; all that do where it is empty.
    public init(only word: String) throws {
        instructions = InstructionSet.current.option
        gflopsOfPeak = Self.peak()
        bytesPerSecond = Self.bandwidth()
        passes = try Self.layers.filter { word.isEmpty || $0.name.contains(word) }.flatMap { cell in
            try cell.batches.flatMap { try Self.passes(of: cell.layer, input: cell.input, batch: $0, name: cell.name) }
        }
        guard !passes.isEmpty else {
            throw Failure(
                .usage, "--only \(word): no layer of the grid is named so",
                remedy: "Use a part of a name such as dense 1200 → 1200, or convolution 3×3 stride 1.")
        }
    }

    private typealias Cell = (name: String, layer: any Layer, input: Shape, batches: [Int])

    private static var layers: [Cell] {
        var cells: [Cell] = []
        for (inputs, units) in denseSizes {
            cells.append(
                ("dense \(inputs) → \(units)", Dense(units: units, hasBias: false), .vector(inputs), denseBatches))
        }
        for kernel in kernels {
            for (inputs, outputs) in channels {
                for size in sizes where size >= kernel.size {
                    cells.append(convolution(kernel.size, stride: kernel.stride, inputs, outputs, size: size))
                }
            }
        }
        for (channels, groups) in grouped {
            cells += sizesOfGrouped.map { convolution(3, stride: 1, channels, channels, groups: groups, size: $0) }
        }
        return cells
    }

    private static func convolution(
        _ kernel: Int, stride: Int, _ inputs: Int, _ outputs: Int, groups: Int = 1, size: Int
    ) -> Cell {
        let layer = Convolution2D(
            channels: outputs, kernel: Extent(height: kernel, width: kernel),
            stride: Extent(height: stride, width: stride), groups: groups, hasBias: false)
        return (
            "convolution \(kernel)×\(kernel) stride \(stride), \(inputs) → \(outputs) channels"
                + (groups > 1 ? " in \(groups) groups" : "") + ", \(size)×\(size)",
            layer, .image(height: size, width: size, channels: inputs), batches
        )
    }

    private static func passes(of layer: any Layer, input: Shape, batch: Int, name: String) throws -> [Pass] {
        let alone = try LayerAlone([layer], input: input, batch: batch, name: "grid")
        guard alone.multiplications / batch <= most else { return [] }
        let weights = layer.parameters(for: input)[0].count
        let bytes = 4 * (batch * (input.count + alone.outputShape.count) + weights)
        let operations = Double(2 * alone.multiplications)
        return try [LayerPass.forward, .inputGradient, .weightGradient].map { pass in
            let blas = layer is Dense ? Product(pass, batch, input.count, alone.outputShape.count) : nil
            var times: [Double] = [], timesOfBLAS: [Double] = []
            for number in 0 ..< 6 {
                let seconds = try Self.seconds { try alone.run(pass) }
                let secondsOfBLAS = blas.map { product in Self.seconds { product.run() } }
                // The first call meets memory that nobody has touched.
                guard number > 0 else { continue }
                times.append(seconds)
                if let secondsOfBLAS { timesOfBLAS.append(secondsOfBLAS) }
            }
            return Pass(
                layer: name, batch: batch, pass: pass.rawValue,
                algorithm: layer.algorithm(for: input, batch: batch) ?? layer.name, seconds: median(times),
                gflops: operations / median(times) / 1e9, intensity: operations / Double(bytes),
                secondsOfBLAS: blas.map { _ in median(timesOfBLAS) })
        }
    }

    /// Of one call, from as many as take a fifth of a millisecond, which the clock can tell.
    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        var calls = 0
        let start = monotonicSeconds()
        repeat {
            try body()
            calls += 1
        } while monotonicSeconds() - start < 2e-4
        return (monotonicSeconds() - start) / Double(calls)
    }

    private static func peak() -> Double {
        let size = 1024, product = Product(.forward, size, size, size)
        let times = (0 ..< 5).map { _ in seconds { product.run() } }
        return 2 * Double(size * size * size) / times.min()! / 1e9
    }

    private static func bandwidth() -> Double {
        let from = FloatBuffer(count: 1 << 25), to = FloatBuffer(count: 1 << 25)
        let times = (0 ..< 5).map { _ in seconds { to.values.copy(from: from.values) } }
        return Double(8 * from.values.count) / times.min()!
    }

    /// The product of a dense layer's pass by OpenBLAS, on zeros.
    private struct Product {
        private let pass: LayerPass
        private let rows, inputs, outputs: Int
        private let x, weight, y: FloatBuffer

        init(_ pass: LayerPass, _ rows: Int, _ inputs: Int, _ outputs: Int) {
            (self.pass, self.rows, self.inputs, self.outputs) = (pass, rows, inputs, outputs)
            x = FloatBuffer(count: rows * inputs)
            weight = FloatBuffer(count: inputs * outputs)
            y = FloatBuffer(count: rows * outputs)
        }

        func run() {
            switch pass {
            case .forward:
                Matrix.multiply(
                    x.values, by: weight.values, into: y.values, rows: rows, columns: outputs, inner: inputs)
            case .inputGradient:
                Matrix.multiply(
                    y.values, by: weight.values, secondTransposed: true, into: x.values, rows: rows, columns: inputs,
                    inner: outputs)
            default:
                Matrix.multiply(
                    x.values, transposed: true, by: y.values, into: weight.values, rows: inputs, columns: outputs,
                    inner: rows)
            }
        }
    }

    /// A line a pass, and last what the roof is.
    public var table: String {
        let width = passes.map(\.layer.count).max() ?? 0
        let lines = passes.map { pass in
            let name = pass.layer.padding(toLength: width + 2, withPad: " ", startingAt: 0)
            let kind = pass.pass.padding(toLength: 16, withPad: " ", startingAt: 0)
            let how = pass.algorithm.padding(toLength: 14, withPad: " ", startingAt: 0)
            let beside =
                pass.secondsOfBLAS.map { String(format: "   OpenBLAS: %.2f × as long", $0 / pass.seconds) } ?? ""
            return String(format: "batch %3d  ", pass.batch) + name + kind + how
                + String(format: "%9.3f ms  %7.1f GFLOP/s", pass.seconds * 1e3, pass.gflops) + beside
        }
        let roof = String(
            format: "%@: OpenBLAS's largest product %.1f GFLOP/s, copying %.1f GB/s", instructions, gflopsOfPeak,
            bytesPerSecond / 1e9)
        return (lines + [roof]).joined(separator: "\n")
    }
}
