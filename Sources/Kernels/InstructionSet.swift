import CKernels

/// The vector instructions that the kernels use, of those that they are compiled for: on x86-64 plain (SSE2), AVX2 with
/// FMA, and AVX-512; on aarch64 one, NEON.
///
/// The processor's highest is in use from the start, or a lower one that the environment variable ``variable`` names.
/// The bits of a result depend on it: sums of products are fused where there is FMA, and BLAS has products of its own.
public struct InstructionSet: Hashable, Comparable, Sendable {
    private let number: Int32

    private init(_ number: Int32) { self.number = number }

    /// Its number in ``all``.
    public init?(index: Int) {
        guard Self.all.indices.contains(index) else { return nil }
        self = Self.all[index]
    }
    public var index: Int { Int(number) }

    public static let variable = "GAN_DIST_INSTRUCTIONS"

    /// Those of this processor, the lowest first.
    public static var all: [InstructionSet] { (0 ... kernels_of_processor()).map(InstructionSet.init) }

    /// The one in use.
    public static var current: InstructionSet { InstructionSet(kernels_in_use()) }

    /// What ``variable`` calls it: `plain`, `avx2`, `avx512`.
    public var option: String { String(cString: kernels_option(number)) }
    /// As logs and checkpoints have it.
    public var name: String { String(cString: kernels_name(number)) }

    /// Has the kernels, and OpenBLAS unless `OPENBLAS_CORETYPE` is set, use no others from now on: before the first
    /// product, and before a network is built.
    public func use() {
        kernels_use(number)
        kernels_use_blas(number)
    }

    /// Has this thread, and those that it starts from now on, take numbers of magnitudes below ``Float``'s
    /// `leastNormalMagnitude` (1.2·10⁻³⁸) for zero. Where a discriminator is sure of everything gradients get there,
    /// and a processor takes many times as long for each: a whole step took five times as long.
    public static func flushSubnormals() { kernels_flush_subnormals() }

    public static func < (left: InstructionSet, right: InstructionSet) -> Bool { left.number < right.number }
}
