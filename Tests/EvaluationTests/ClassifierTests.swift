import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Runs
import Storage
import Support
import Testing
@testable import Evaluation

@Suite struct ClassifierTests {
    private func answers(logits: [Double], classes: Int) -> Classifier.Answers {
        let rows = stride(from: 0, to: logits.count, by: classes).map { logSoftmax(Array(logits[$0 ..< $0 + classes])) }
        return Classifier.Answers(
            features: Examples(FloatBuffer(count: rows.count), shape: .vector(1)),
            logProbabilities: rows.flatMap { $0 }, classes: classes)
    }

    @Test func scoresAgreeWithSciPy() throws {
        let found = answers(logits: try Fixture.numbers("score", "logits"), classes: 4)
        expectClose(ClassifierScore.scores(found), try Fixture.numbers("score", "scores"), 1e-6)
        #expect(found.histogram.map(Double.init) == (try Fixture.numbers("score", "histogram")))
        #expect(
            abs(
                divergence(found.histogram, from: try Fixture.numbers("score", "other"))
                    - (try Fixture.number("score", "divergence"))) < 1e-12)
    }

    /// Of six samples asked for labels 0, 0, 2, 2, 2, 1 the classifier finds 0, 1, 2, 2, 0, 1.
    @Test func alignmentIsTheShareOfRightAnswers() {
        func said(_ labels: [Int]) -> Classifier.Answers {
            answers(logits: labels.flatMap { label in (0 ..< 3).map { $0 == label ? 9.0 : 0 } }, classes: 3)
        }
        let found = Alignment.measure(
            said([0, 1, 2, 2, 0, 1]), asked: [0, 0, 2, 2, 2, 1], said([0, 1, 2, 1]), own: [0, 1, 2, 2], [])
        #expect(abs(found.value - 4.0 / 6) < 1e-12 && found.quantity("of_real_examples") == .number(0.75))
        #expect(found.quantity("of_each_label") == .numbers([0.5, 1, 2.0 / 3]))
    }

    /// The score of sure and varied samples is the number of classes, that of unsure or uniform ones 1.
    @Test func scoresHaveTheirKnownValues() throws {
        let sure = (0 ..< 100).flatMap { row -> [Double] in (0 ..< 5).map { $0 == row % 5 ? 2000 : 0 } }
        #expect(abs(ClassifierScore.measure(answers(logits: sure, classes: 5), []).value - 5) < 1e-9)
        let alike = (0 ..< 100).flatMap { _ -> [Double] in [2000, 0, 0, 0, 0] }
        #expect(abs(ClassifierScore.measure(answers(logits: alike, classes: 5), []).value - 1) < 1e-9)
        #expect(abs(ClassifierScore.measure(answers(logits: alike.map { _ in 0 }, classes: 5), []).value - 1) < 1e-9)
        let labels = LabelHistogram.measure(answers(logits: sure, classes: 5), answers(logits: sure, classes: 5), [])
        #expect(labels.value == 0)
        let one = LabelHistogram.modes(answers(logits: alike, classes: 5).histogram, "classes", [])
        #expect(one.value == 1)
        #expect(abs(try number(one.quantity("reverse_kl")) - log(5)) < 1e-12)
    }

    @Test func theGradientOfTheCrossEntropyIsItsDerivative() {
        let logits: [Float] = [0.5, -1, 2, 0, 0.25, -0.5], labels = [2, 0], gradient = FloatBuffer(count: 6)
        func loss(_ logits: [Float]) -> Double {
            let buffer = FloatBuffer(logits)
            return ClassifierTraining.crossEntropy(
                Batch(buffer.values, count: 2, shape: .vector(3)), labels, gradient: gradient.values
            ).loss
        }
        for index in logits.indices {
            var (up, down) = (logits, logits)
            up[index] += 0.01
            down[index] -= 0.01
            let numeric = (loss(up) - loss(down)) / 0.02
            _ = loss(logits)
            #expect(abs(numeric - Double(gradient.values[index])) < 1e-4)
        }
    }

    /// Images of 8 × 8 whose bright quarter tells the class.
    private static func writeImages(to path: String, count: Int, seed: UInt64) throws {
        let noise = FloatBuffer(count: count * 64)
        Draws(seed: seed, purpose: .synthetic, step: 0).fillUniform(noise.values, samples: count, low: 0, high: 120)
        let pixels = (0 ..< count * 64).map { index -> UInt8 in
            let (image, pixel) = index.quotientAndRemainder(dividingBy: 64)
            let quarter = pixel / 32 * 2 + pixel % 8 / 4
            return UInt8(noise.values[index] + (quarter == image % 4 ? 100 : 0))
        }
        let description = DatasetDescription(
            name: "quarters", source: "test", license: "CC0-1.0", dimensions: [count, 8, 8, 1], element: .uint8,
            range: nil)
        try DatasetWriter.write(path, description) { (writer) throws(Failure) in
            try writer.append(pixels)
            writer.labels = (0 ..< count).map { $0 % 4 }
        }
    }

    /// Three test images as the channels of one: its mode is the number of their classes.
    private static func expectStacksToBeCounted(
        _ images: Examples, _ labels: [Int], _ classifier: Classifier
    ) throws {
        let stacks = FloatBuffer(count: 50 * 64 * 3)
        var expected = [Int](repeating: 0, count: 64)
        for stack in 0 ..< 50 {
            for channel in 0 ..< 3 {
                let image = images[3 * stack + channel ..< 3 * stack + channel + 1]
                for pixel in 0 ..< 64 { stacks.values[(stack * 64 + pixel) * 3 + channel] = image[pixel] }
            }
            expected[(labels[3 * stack] * 4 + labels[3 * stack + 1]) * 4 + labels[3 * stack + 2]] += 1
        }
        let shape = Shape.image(height: 8, width: 8, channels: 3)
        let classes = try #require(StackedClasses(classifier, of: shape))
        #expect(classes.modes == 64 && StackedClasses(classifier, of: classifier.shape) == nil)
        #expect(StackedClasses(classifier, of: .image(height: 9, width: 8, channels: 3)) == nil)
        #expect(try classes.counts(Examples(stacks, shape: shape), alone()) == expected)
        let many = try #require(StackedClasses(classifier, of: .image(height: 8, width: 8, channels: 16)))
        #expect(many.modes == nil)
    }

    /// It learns, its file gives what it gave, and the file is the same on one rank and on three.
    @Test func aClassifierIsTrainedAndStored() throws {
        let folder = NSTemporaryDirectory() + "classifier-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let data = folder + "/train.h5", test = folder + "/test.h5"
        try Self.writeImages(to: data, count: 512, seed: 1)
        try Self.writeImages(to: test, count: 200, seed: 2)
        let training = ClassifierTraining(data: data, heldOut: test, epochs: 3, seed: 1)
        try training.run(to: folder + "/one.h5", alone())
        _ = try ranks(3) { context in
            try training.run(to: folder + "/three.h5", context)
            return 0
        }
        let one = try CheckpointFile.read(folder + "/one.h5"), three = try CheckpointFile.read(folder + "/three.h5")
        #expect(CheckpointDiff.run(one, three).isEmpty)

        let classifier = try Classifier(folder + "/one.h5")
        #expect(classifier.classes == 4 && classifier.shape == .image(height: 8, width: 8, channels: 1))
        #expect(try #require(classifier.accuracy) > 0.95)
        let images = try LabelledImages(test)
        let examples = try Examples(images.source, Array(0 ..< 200), shape: images.shape)
        let found = try classifier.answers(examples, alone(), "")
        let right = zip(found.labels, images.labels).count { $0 == $1 }
        #expect(Double(right) / 200 == classifier.accuracy)
        #expect(found.features.shape == .vector(Classifier.features))
        try Self.expectStacksToBeCounted(examples, found.labels, classifier)

        #expect(throws: AgreedFailure.self) { try training.run(to: folder + "/one.h5", alone()) }
        #expect(throws: Failure.self) {
            try Classifier(
                Checkpoint(
                    path: "gan.h5", contents: CheckpointContents(attributes: [("step", .integer(1))], arrays: [])))
        }
    }
}
