#include "ir/support/diagnostics.h"
#include "runtime/data/files.h"
#include "runtime/data/kinds.h"
#include "runtime/data/parallel.h"
#include "runtime/data/shapes.h"

#include <cstring>
#include <filesystem>

namespace netc {

namespace fs = std::filesystem;

namespace {

constexpr int64_t default_train = 5000;
constexpr int64_t default_validation = 1000;
constexpr uint64_t default_seed = 1; // Not the run's: every run sees the same data.

/// Shapes drawn when they are asked for.
class ShapesDataset final : public Dataset {
public:
  explicit ShapesDataset(const StoredFormat& format) : Dataset(format) {
    class_names_ = data::shape_names();
  }

  int64_t size(Split split) const override {
    return split == Split::train ? default_train : default_validation;
  }
  int32_t label(Split, int64_t index) const override { return data::shape_label(index); }
  std::string name(Split split, int64_t index) const override {
    return fmt::format("shapes {} image {}", to_string(split), index);
  }

  bool load(Split split, int64_t index, uint8_t* out, std::string*) const override {
    fit_image(data::draw_shape(default_seed, split, index, format_.height, format_.width), format_,
              out);
    return true;
  }
};

std::string shape_file(const std::string& root, Split split, int64_t index) {
  return fmt::format("{}/{}/{}/{:06}.jpg", root, split == Split::train ? "train" : "val",
                     data::shape_names()[data::shape_label(index)], index);
}

void write_split(const std::string& root, Split split, int64_t count, int size, uint64_t seed) {
  for (size_t i = 0; i < data::shape_names().size(); ++i)
    fs::create_directories(
        fs::path(shape_file(root, split, static_cast<int64_t>(i))).parent_path());
  data::parallel_for(count, 0, [&](int64_t index) {
    const Image image = data::draw_shape(seed, split, index, size, size);
    data::write_file(shape_file(root, split, index), encode_jpeg(image, 90));
  });
}

} // namespace

std::unique_ptr<Dataset> data::open_shapes(const std::string& path, const StoredFormat& format) {
  if (path.empty())
    return std::make_unique<ShapesDataset>(format);
  std::error_code code;
  if (!fs::exists(path, code))
    user_error(fmt::format("folder `{}` does not exist", printable(path)),
               fmt::format("make it with `netc data shapes {}`, or use `shapes` alone to draw in "
                           "memory",
                           printable(path)));
  return open_imagefolder(path, format);
}

void write_shapes(const std::string& dir, int64_t train_count, int64_t val_count, int size,
                  uint64_t seed) {
  if (train_count < 1 || val_count < 0 || size < 8 || size > 4096)
    user_error(fmt::format("cannot draw {} and {} shapes of {}x{} pixels", train_count, val_count,
                           size, size),
               "at least one training image, 8 to 4096 pixels");
  std::error_code code;
  if (fs::exists(dir, code) && !(fs::is_directory(dir, code) && fs::is_empty(dir, code)))
    user_error(fmt::format("`{}` exists and is not empty", data::printable(dir)),
               "name a new folder");
  std::string root = dir;
  while (root.size() > 1 && root.ends_with('/'))
    root.pop_back();
  const std::string partial = root + ".partial";
  try {
    fs::remove_all(partial);
    write_split(partial, Split::train, train_count, size, seed);
    write_split(partial, Split::validation, val_count, size, seed);
    fs::rename(partial, root); // Replaces an empty folder.
  } catch (const fs::filesystem_error& error) {
    throw RuntimeError(
        fmt::format("cannot write `{}`: {}", data::printable(dir), error.code().message()),
        "check the free space and the rights of the folder");
  }
}

} // namespace netc
