import Kernels
import Nets

/// ∂s(G(z))/∂θ, the gradient of D's logit of one generated example with respect to G's parameters, outside training:
/// without dropout, with running statistics. By the chain rule the gradient of any cost c(s) is c′(s) times it.
///
/// Where weights are divided by their spectral norm, θ are the divided ones.
public final class LogitGradient {
    private let sampler: Sampler
    private let discriminator: TrainedDiscriminator

    /// The sampler's network and the discriminator are to have memory for backward; neither is conditioned.
    public init(_ sampler: Sampler, _ discriminator: TrainedDiscriminator) {
        precondition(sampler.network.isTrained, "a generator without memory for backward")
        (self.sampler, self.discriminator) = (sampler, discriminator)
    }

    /// Values of θ, those included that keep its arrays aligned, whose gradient is 0.
    public var count: Int { sampler.network.store.count }

    /// s(G(z)) of latent number `draws.firstSample`, whose gradient is written into `gradient`.
    public func logit(_ draws: Draws, into gradient: Floats) throws -> Double {
        let logit = try discriminator.logits(sampler.answers(sampler.draw(count: 1, draws)))[0]
        try sampler.gradient(of: discriminator.slopes(count: 1), into: gradient)
        return Double(logit)
    }
}
