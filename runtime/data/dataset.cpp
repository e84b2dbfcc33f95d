#include "runtime/data/dataset.h"

#include "ir/support/diagnostics.h"
#include "runtime/data/files.h"
#include "runtime/data/kinds.h"

#include <filesystem>

namespace netc {

namespace {

/// A kind of dataset: one line of the table below.
struct Kind {
  std::string_view name;
  std::string_view usage;
  std::string_view doc;
  data::OpenKind* open;
  bool needs_path;
  bool cached; ///< Decoding costs enough to keep its results.
};

constexpr Kind kinds[] = {
    {"imagefolder", "imagefolder:DIR", "one folder of JPEG or PNG images a class",
     data::open_imagefolder, true, true},
    {"imagelist", "imagelist:FILE.tsv[,IMAGES_DIR]", "file, class name, label; tab separated",
     data::open_imagelist, true, true},
    {"cifar10", "cifar10:DIR", "CIFAR-10, binary version", data::open_cifar10, true, false},
    {"mnist", "mnist:DIR", "MNIST and its likes, IDX files, gzipped or not", data::open_mnist, true,
     false},
    {"shapes", "shapes[:DIR]", "drawn shapes in 10 classes, made in memory or read from DIR",
     data::open_shapes, false, true},
};

/// What to write instead of a spec whose kind is not known.
[[noreturn]] void unknown_kind(const std::string& kind, const std::string& spec) {
  std::vector<std::string> names;
  std::string usages;
  for (const Kind& known : kinds) {
    names.emplace_back(known.name);
    usages += fmt::format("{}`{}`", usages.empty() ? "" : ", ", known.usage);
  }
  std::error_code code;
  if (std::filesystem::is_directory(spec, code))
    user_error(fmt::format("`{}` lacks the kind of data", data::printable(spec)),
               fmt::format("for class folders of images: `imagefolder:{}`", data::printable(spec)));
  user_error(
      fmt::format("unknown kind of data `{}`{}", data::printable(kind), did_you_mean(kind, names)),
      "known are " + usages);
}

void check_format(const StoredFormat& format) {
  NETC_CHECK(format.height > 0 && format.width > 0, "stored images of {}x{} pixels", format.height,
             format.width);
  if (format.channels != 1 && format.channels != 3)
    user_error(
        fmt::format("images have 1 or 3 channels, the network's input has {}", format.channels));
}

} // namespace

std::string_view to_string(Split split) {
  return split == Split::train ? "train" : "validation";
}

std::vector<DatasetKindInfo> dataset_kinds() {
  std::vector<DatasetKindInfo> infos;
  for (const Kind& kind : kinds)
    infos.push_back({kind.usage, kind.doc});
  return infos;
}

std::unique_ptr<Dataset> open_dataset(const std::string& spec, const StoredFormat& format,
                                      int64_t cache_bytes) {
  check_format(format);
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const std::string path = colon == spec.npos ? "" : spec.substr(colon + 1);
  for (const Kind& kind : kinds) {
    if (kind.name != name)
      continue;
    if (path.empty() && (kind.needs_path || colon != spec.npos))
      user_error(fmt::format("data kind `{}` needs a path", name),
                 fmt::format("usage: `{}`", kind.usage));
    std::unique_ptr<Dataset> dataset = kind.open(path, format);
    return kind.cached ? data::make_cached_dataset(std::move(dataset), cache_bytes)
                       : std::move(dataset);
  }
  unknown_kind(name, spec);
}

} // namespace netc
