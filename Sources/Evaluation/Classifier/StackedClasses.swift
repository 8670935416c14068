import Kernels
import Nets

/// Images whose channels are grey images of their own, as `gan-dist data stack` makes them: the classifier of such
/// single images judges each channel, and a combination of classes is a mode, 1000 of three channels of ten classes.
/// Published counts take 26,000 samples (Srivastava et al. 2017, §5; Lin et al. 2018, §4.2).
struct StackedClasses {
    /// More would be counts of nothing.
    static let mostModes = 1 << 20

    let classifier: Classifier
    let channels: Int

    /// Nil unless the classifier is one of single channels of images of `shape`.
    init?(_ classifier: Classifier, of shape: Shape) {
        guard case .image(let height, let width, let channels) = shape, channels > 1,
            classifier.shape == .image(height: height, width: width, channels: 1)
        else { return nil }
        (self.classifier, self.channels) = (classifier, channels)
    }

    /// K to the power of the channels; nil where these are too many.
    var modes: Int? {
        var modes = 1
        for _ in 0 ..< channels {
            modes *= classifier.classes
            guard modes <= Self.mostModes else { return nil }
        }
        return modes
    }

    /// How many samples each mode has: that of classes a, b, c is number (a K + b) K + c. Collective.
    func counts(_ samples: Examples, _ context: EvaluationContext) throws -> [Int] {
        let labels = try classifier.answers(apart(samples), context, "classifier: channels").labels
        var counts = [Int](repeating: 0, count: modes!)
        for sample in 0 ..< samples.count {
            let classes = labels[sample * channels ..< (sample + 1) * channels]
            counts[classes.reduce(0) { $0 * classifier.classes + $1 }] += 1
        }
        return counts
    }

    /// The channels as images, one after another.
    private func apart(_ samples: Examples) -> Examples {
        let pixels = classifier.shape.count, buffer = FloatBuffer(count: samples.values.count)
        for sample in 0 ..< samples.count {
            let stack = samples[sample ..< sample + 1]
            for channel in 0 ..< channels {
                let image = buffer.values[
                    (sample * channels + channel) * pixels ..< (sample * channels + channel + 1) * pixels]
                for pixel in 0 ..< pixels { image[pixel] = stack[pixel * channels + channel] }
            }
        }
        return Examples(buffer, shape: classifier.shape)
    }
}
