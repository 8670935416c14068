// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "gan-dist",
    targets: [
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CVector"),

        .target(name: "Kernels", dependencies: ["COpenBLAS", "CVector"]),

        .testTarget(name: "KernelsTests", dependencies: ["Kernels"]),
    ]
)
