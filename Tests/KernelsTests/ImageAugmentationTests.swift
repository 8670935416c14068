import Testing
@testable import Kernels

/// The affine maps of augmentation against their definition, one transformation after another, in Double.
@Suite struct ImageAugmentationTests {
    struct Case: CustomStringConvertible, Sendable {
        let description: String
        let augmentation: ImageAugmentation

        init(_ description: String, _ change: (inout ImageAugmentation) -> Void) {
            var augmentation = ImageAugmentation()
            augmentation.fill = 0.25
            change(&augmentation)
            (self.description, self.augmentation) = (description, augmentation)
        }
    }

    static let cases = [
        Case("nothing") { _ in },
        Case("flip") { $0.flips = true },
        Case("brightness") { $0.brightness = 0.3 },
        Case("saturation") { $0.saturation = 1.7 },
        Case("no saturation") { $0.saturation = 0 },
        Case("contrast") { $0.contrast = 0.6 },
        Case("down and left") { ($0.rowShift, $0.columnShift) = (1, -2) },
        Case("up and right, flipped") { ($0.rowShift, $0.columnShift, $0.flips) = (-1, 1, true) },
        Case("out of the picture") { $0.rowShift = 7 },
        Case("left out of the picture") { ($0.rowShift, $0.columnShift) = (1, -5) },
        Case("to the right alone") { $0.columnShift = 2 },
        Case("cutout") { ($0.cutRows, $0.cutColumns) = (1 ..< 3, 2 ..< 5) },
        Case("all") {
            ($0.flips, $0.brightness, $0.saturation, $0.contrast) = (true, -0.4, 1.3, 1.4)
            ($0.rowShift, $0.columnShift) = (-1, 2)
            ($0.cutRows, $0.cutColumns) = (0 ..< 2, 3 ..< 5)
        },
    ]

    private static let height = 4, width = 5

    /// The result, by the formulas.
    private static func right(
        _ augmentation: ImageAugmentation, _ image: [Double], channels: Int, linear: Bool
    ) -> [Double] {
        func at(_ row: Int, _ column: Int) -> Range<Int> {
            (row * width + column) * channels ..< (row * width + column + 1) * channels
        }
        var image = image
        if augmentation.flips {
            let before = image
            for row in 0 ..< height {
                for column in 0 ..< width { image[at(row, column)] = before[at(row, width - 1 - column)] }
            }
        }
        if !linear { image = image.map { $0 + Double(augmentation.brightness) } }
        for pixel in 0 ..< height * width {
            let values = pixel * channels ..< (pixel + 1) * channels
            let mean = image[values].reduce(0, +) / Double(channels)
            for index in values { image[index] = (image[index] - mean) * Double(augmentation.saturation) + mean }
        }
        let mean = image.reduce(0, +) / Double(image.count)
        image = image.map { ($0 - mean) * Double(augmentation.contrast) + mean }
        let before = image, fill = linear ? 0 : Double(augmentation.fill)
        for row in 0 ..< height {
            for column in 0 ..< width {
                let (sourceRow, sourceColumn) = (row - augmentation.rowShift, column - augmentation.columnShift)
                let isOutside =
                    !(0 ..< height).contains(sourceRow) || !(0 ..< width).contains(sourceColumn)
                    || (augmentation.cutRows.contains(row) && augmentation.cutColumns.contains(column))
                for (place, index) in at(row, column).enumerated() {
                    image[index] = isOutside ? fill : before[at(sourceRow, sourceColumn).lowerBound + place]
                }
            }
        }
        return image
    }

    /// An image among the channels of others, which stay as they are.
    private static func apply(
        _ form: ImageAugmentation.Form, _ augmentation: ImageAugmentation, _ image: [Float], channels: Int, place: Int,
        of images: Int
    ) -> [Float] {
        let pixels = height * width, stride = images * channels
        let layout = ImageLayout(height: height, width: width, channels: channels, stride: stride)
        let all = FloatBuffer(Array(repeating: 9, count: pixels * stride))
        for index in image.indices {
            all.values[index / channels * stride + place * channels + index % channels] = image[index]
        }
        augmentation.apply(form, to: all.values[place * channels ..< all.count], layout)
        var result: [Float] = []
        for index in 0 ..< all.count {
            if index % stride / channels == place {
                result.append(all.values[index])
            } else {
                #expect(all.values[index] == 9)
            }
        }
        return result
    }

    @Test(arguments: cases, [1, 3]) func isWhatTheFormulasSay(_ trial: Case, channels: Int) {
        let image = randomBuffer(Self.height * Self.width * channels, seed: 1).array
        for (place, images) in [(0, 1), (1, 3)] {
            for form in [ImageAugmentation.Form.map, .tangent] {
                let own = Self.apply(form, trial.augmentation, image, channels: channels, place: place, of: images)
                let right = Self.right(
                    trial.augmentation, image.map(Double.init), channels: channels, linear: form == .tangent)
                for index in right.indices { #expect(abs(Double(own[index]) - right[index]) < 1e-6) }
            }
        }
    }

    /// ⟨e, A t⟩ = ⟨Aᵀ e, t⟩.
    @Test(arguments: cases, [1, 3]) func theAdjointIsOne(_ trial: Case, channels: Int) {
        let count = Self.height * Self.width * channels
        let tangent = randomBuffer(count, seed: 2).array, gradient = randomBuffer(count, seed: 3).array
        for (place, images) in [(0, 1), (1, 2)] {
            func apply(_ form: ImageAugmentation.Form, _ values: [Float]) -> [Float] {
                Self.apply(form, trial.augmentation, values, channels: channels, place: place, of: images)
            }
            func product(_ first: [Float], _ second: [Float]) -> Double {
                zip(first, second).reduce(0) { $0 + Double($1.0) * Double($1.1) }
            }
            let forth = product(gradient, apply(.tangent, tangent)), back = product(apply(.adjoint, gradient), tangent)
            #expect(abs(forth - back) < 1e-5, "\(forth) and \(back)")
        }
    }
}
