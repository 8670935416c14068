import Glibc
import Support

/// The pictures of a folder, and an account of everything else in it.
///
/// The folders in it are the classes; a picture in a folder of a class, however deep, is of that class. Links are
/// followed. Names are taken as bytes: those that are not UTF-8 are names too.
struct PictureFolder {
    struct File {
        let location: BytePath
        /// Which of `classes` it is of.
        let classNumber: Int?
    }

    /// In the order of their names, the files of a folder before those of its folders.
    private(set) var files: [File] = []
    private(set) var classes: [String] = []
    var account = ImportAccount()

    private let root: BytePath
    private let skipBroken: Bool
    private var ancestors: [(device: dev_t, inode: ino_t)] = []

    /// `skipBroken` false: what this user may not read is an error.
    init(_ folder: String, skipBroken: Bool) throws(Failure) {
        (root, self.skipBroken) = (BytePath(folder), skipBroken)
        var status = stat()
        guard stat(root.bytes, &status) == 0 else {
            throw Failure(
                .missingInput, "\(folder) cannot be opened: \(SystemError.text(errno)).",
                remedy: "Check the path; relative paths start at the working folder.")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw Failure(
                .missingInput, "\(folder) is not a folder.",
                remedy: "Name the folder that the pictures are in.")
        }
        _ = try walk(Place(location: root, name: "", classNumber: nil), status)
    }

    /// Its name within the folder, for people.
    func name(of file: File) -> String {
        shownText(file.location.bytes.dropFirst(root.bytes.count).dropLast(1).map { UInt8(bitPattern: $0) })
    }

    // MARK: - The walk

    /// A file or folder, under what name people know it, and the class that it belongs to.
    private struct Place {
        let location: BytePath
        let name: String
        let classNumber: Int?
    }

    /// False where the folder may not be read.
    private mutating func walk(_ place: Place, _ status: stat) throws(Failure) -> Bool {
        guard let names = try names(in: place) else { return false }
        ancestors.append((status.st_dev, status.st_ino))
        defer { ancestors.removeLast() }
        var folders: [(name: [UInt8], status: stat)] = []
        for name in names {
            let entry = Place(
                location: place.location.appending(name), name: place.name + shownText(name),
                classNumber: place.classNumber)
            var status = stat()
            if stat(entry.location.bytes, &status) != 0 {
                try cannotBeExamined(entry, errno)
            } else if status.st_mode & S_IFMT == S_IFDIR {
                folders.append((name, status))
            } else {
                account.files += 1
                examine(entry, name, isRegular: status.st_mode & S_IFMT == S_IFREG)
            }
        }
        for folder in folders { try enter(folder.name, folder.status, of: place) }
        return true
    }

    private mutating func enter(_ name: [UInt8], _ status: stat, of place: Place) throws(Failure) {
        let shown = shownText(name), path = place.name + shown
        if Self.isSystem(name) { return account.leaveOut(.hiddenFolder, path) }
        if ancestors.contains(where: { $0 == (status.st_dev, status.st_ino) }) {
            return account.leaveOut(.circle, path)
        }
        let before = files.count
        var number = place.classNumber
        if number == nil {
            number = classes.count
            classes.append(shown)
        }
        let inside = Place(location: place.location.appending(name), name: path + "/", classNumber: number)
        if try !walk(inside, status) {
            account.leaveOut(.unreadableFolder, path)
        } else if files.count == before {
            account.leaveOut(.emptyFolder, path)
        } else if place.classNumber != nil {
            account.nested.add(path)
        }
    }

    private mutating func cannotBeExamined(_ entry: Place, _ number: Int32) throws(Failure) {
        account.files += 1
        if number == ENOENT || number == ELOOP { return account.leaveOut(.deadLink, entry.name) }
        guard skipBroken else { throw unreadable(entry, number) }
        account.leaveOut(.unreadable, entry.name)
    }

    private func unreadable(_ place: Place, _ number: Int32) -> Failure {
        let remedy =
            switch number {
            case EACCES: "Give this user the right to read it"
            case ENAMETOOLONG: "Move the pictures to where their paths are shorter"
            default: "Check the disk"
            }
        return Failure(
            .missingInput, "\(place.location.text) cannot be read: \(SystemError.text(number)).",
            remedy: "\(remedy), or leave out what cannot be read with --skip-broken.")
    }

    /// The names in a folder, sorted by their bytes; nil where it may not be read, which the folder that the user named
    /// has to be.
    private func names(in place: Place) throws(Failure) -> [[UInt8]]? {
        guard let stream = opendir(place.location.bytes) else {
            let number = errno
            guard skipBroken, !place.name.isEmpty else { throw unreadable(place, number) }
            return nil
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        guard errno == 0 else {
            throw Failure(
                .inputOutput,
                "\(place.location.text) could not be read to its end: \(SystemError.text(errno)).",
                remedy: "Check the disk, then run again.")
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    // MARK: - What is a picture

    /// Pictures by their name are read, whatever they turn out to be.
    private static let extensions: Set<String> = ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff"]
    /// Of these, and of files without an extension, the first bytes decide.
    private static let otherPictures: Set<String> = [
        "", "gif", "bmp", "dib", "pbm", "pgm", "ppm", "pnm", "avif", "heic", "heif", "jp2", "jxl", "ico", "tga", "img",
        "image", "pic",
    ]

    private mutating func examine(_ entry: Place, _ name: [UInt8], isRegular: Bool) {
        if !isRegular { return account.leaveOut(.special, entry.name) }
        if Self.isSystem(name) { return account.leaveOut(.hidden, entry.name) }
        let kind = Self.pathExtension(of: name)
        guard
            Self.extensions.contains(kind) || Self.otherPictures.contains(kind) && Self.startsAsPicture(entry.location)
        else {
            return account.leaveOut(.otherFormat, entry.name, kind: kind.isEmpty ? "without extension" : "." + kind)
        }
        files.append(File(location: entry.location, classNumber: entry.classNumber))
    }

    private static func pathExtension(of name: [UInt8]) -> String {
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")) else { return "" }
        return shownText(Array(name[(dot + 1)...])).lowercased()
    }

    private static func startsAsPicture(_ location: BytePath) -> Bool {
        guard let file = try? InputFile(location),
            let bytes = try? file.read(at: 0, count: min(16, file.size))
        else { return false }
        return PictureFormat(bytes) != nil
    }

    /// What a Mac, Windows, a NAS or a program keeps beside the files: hidden names and these.
    private static func isSystem(_ name: [UInt8]) -> Bool {
        name.first == UInt8(ascii: ".") || systemNames.contains(shownText(name).lowercased())
    }

    private static let systemNames: Set<String> = [
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\\x0d", "$recycle.bin", "system volume information",
        "lost+found",
        "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "__pycache__",
    ]
}
