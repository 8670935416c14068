import Kernels
@testable import Nets
import Testing

/// Layers of networks since 2016 against PyTorch's.
extension PyTorchTests {
    @Test(
        arguments: [
            ("of 16 channels", 32, 3, 1, .same, 2), ("narrow", 9, Extent(height: 3, width: 2), 1, .same, 3),
            ("1x1", 36, 1, 1, .same, 2), ("stride 2", 6, Extent(height: 4, width: 3), 2, .same, 2),
            ("stride 3x1 valid", 4, Extent(height: 2, width: 3), Extent(height: 3, width: 1), .valid, 2),
            ("depthwise", 11, 3, 1, .same, 11), ("depthwise to one", 16, 4, 1, .valid, 16),
            ("depthwise stride 2", 9, Extent(height: 3, width: 2), 2, .same, 9),
            ("two a channel", 10, 3, 1, .same, 5),
        ] as [(String, Int, Extent, Extent, Padding, Int)])
    func convolutionInGroups(
        name: String, channels: Int, kernel: Extent, stride: Extent, padding: Padding, groups: Int
    ) throws {
        try check(
            "convolution in groups " + name,
            [Convolution2D(channels: channels, kernel: kernel, stride: stride, padding: padding, groups: groups)])
    }

    @Test func resampling() throws {
        for factor in [2, 3] {
            try check("upsample nearest \(factor)", [Resample2D(.nearest, factor: factor)])
            try check("upsample bilinear \(factor)", [Resample2D(.linear, factor: factor)])
            try check("downsample mean \(factor)", [Resample2D(.mean, factor: factor)])
        }
        try check("upsample binomial", [Resample2D(.binomialUp)])
        try check("downsample binomial", [Resample2D(.binomialDown)])
    }

    @Test(arguments: [("of images", 3), ("of vectors", 4), ("far from zero", 2)])
    func groupNormalisation(name: String, groups: Int) throws {
        // The mean of values near 100 is a float that is wrong in the sixth digit of their deviation.
        try check(
            "group normalisation " + name, [GroupNormalisation(groups: groups)],
            tolerance: name == "far from zero" ? 1e-4 : 1e-5)
    }

    @Test func otherNormalisations() throws {
        try check("instance normalisation", [GroupNormalisation(groups: nil)])
        try check("pixel normalisation of images", [PixelNormalisation()])
        try check("pixel normalisation of vectors", [PixelNormalisation()])
    }

    @Test func minibatchDeviation() throws {
        try check("minibatch deviation of images", [MinibatchDeviation()])
        try check("minibatch deviation of vectors", [MinibatchDeviation(group: 3)])
    }

    @Test func selfAttention() throws {
        try check("self-attention", [SelfAttention()])
        try check("self-attention of odd sides", [SelfAttention()])
    }

    @Test func basisAndScales() throws {
        try check("basis", [Basis(height: 4, width: 3, channels: 9)])
        try check("scale and shift", [ScaleShift()])
        try check("scale alone", [ScaleShift(shift: nil)])
        try check("shift alone", [ScaleShift(scale: nil)])
    }

    @Test func smoothActivations() throws {
        try check("gelu", [GELU()])
        try check("silu", [SiLU()])
    }
}
