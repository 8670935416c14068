// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "gan-dist",
    targets: [
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CVector"),

        .target(name: "Kernels", dependencies: ["COpenBLAS", "CVector"]),
        .target(name: "Nets", dependencies: ["Kernels"]),

        .testTarget(name: "KernelsTests", dependencies: ["Kernels"]),
        .target(name: "AllocationCount", path: "Tests/AllocationCount"),
        .testTarget(name: "NetsTests", dependencies: ["Nets", "AllocationCount"], resources: [.copy("Fixtures")]),
    ]
)
