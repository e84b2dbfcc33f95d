#include "ir/support/diagnostics.h"
#include "runtime/data/files.h"
#include "runtime/data/kinds.h"

#include <algorithm>

namespace netc::data {

namespace {

constexpr int max_depth = 8; // Folders within a class folder; ends loops of symbolic links.

/// What was left aside while listing.
struct Remarks {
  std::vector<std::string> empty_classes;
  std::vector<std::string> ignored; ///< Files without an image suffix: the first few.
  int64_t ignored_count = 0;
};

/// Adds the images at and below root/folder, sorted within each folder.
void add_images(const std::string& root, const std::string& folder, int32_t label, int depth,
                std::vector<LabelledFile>& out, Remarks& remarks) {
  const FolderContent content = list_folder(root + '/' + folder);
  for (const std::string& file : content.files) {
    std::string path = folder + '/' + file;
    if (has_image_suffix(file))
      out.push_back({std::move(path), label});
    else if (++remarks.ignored_count <= 3)
      remarks.ignored.push_back(std::move(path));
  }
  if (depth < max_depth)
    for (const std::string& inner : content.folders)
      add_images(root, folder + '/' + inner, label, depth + 1, out, remarks);
}

/// The images of every class folder of `list.root`/`part`; a class that is not in
/// `list.class_names` is an error.
std::vector<LabelledFile> list_part(const FileList& list, const std::string& part,
                                    const std::vector<std::string>& folders, Remarks& remarks) {
  Diagnostics diagnostics;
  std::vector<LabelledFile> files;
  for (const std::string& folder : folders) {
    auto found = std::lower_bound(list.class_names.begin(), list.class_names.end(), folder);
    if (found == list.class_names.end() || *found != folder) {
      diagnostics.error({}, fmt::format("class folder `{}/{}{}` has no counterpart in `{}/train`{}",
                                        printable(list.root), part, printable(folder),
                                        printable(list.root),
                                        printable(did_you_mean(folder, list.class_names))));
      continue;
    }
    const size_t before = files.size();
    add_images(list.root, part + folder, static_cast<int32_t>(found - list.class_names.begin()), 0,
               files, remarks);
    if (files.size() == before)
      remarks.empty_classes.push_back(part + folder);
  }
  diagnostics.throw_if_errors();
  return files;
}

void add_notes(const Remarks& remarks, FileList& list) {
  const auto empty = static_cast<int64_t>(remarks.empty_classes.size());
  if (empty > 0)
    list.notes.push_back(fmt::format("{} of the class folders of `{}` hold{} no images: {}", empty,
                                     printable(list.root), empty == 1 ? "s" : "",
                                     first_three(remarks.empty_classes, empty)));
  if (remarks.ignored_count > 0)
    list.notes.push_back(fmt::format("{} files in `{}` are not named like JPEG or PNG images: {}",
                                     remarks.ignored_count, printable(list.root),
                                     first_three(remarks.ignored, remarks.ignored_count)));
}

} // namespace

std::unique_ptr<Dataset> open_imagefolder(const std::string& path, const StoredFormat& format) {
  require_folder(path);
  FileList list;
  list.root = path;
  const FolderContent top = list_folder(path);
  auto has = [&](const char* name) {
    return std::find(top.folders.begin(), top.folders.end(), name) != top.folders.end();
  };
  const std::string part = has("train") ? "train/" : "";
  const FolderContent classes = part.empty() ? top : list_folder(path + "/train");
  list.class_names = classes.folders;
  if (classes.folders.empty())
    user_error(fmt::format("no class folders in `{}`", printable(path + '/' + part)),
               "each class needs a folder of its own, e.g. `DIR/cat/1.jpg`");

  Remarks remarks;
  list.train = list_part(list, part, classes.folders, remarks);
  const char* own = part.empty() ? nullptr : has("val") ? "val" : has("test") ? "test" : nullptr;
  if (own) {
    const FolderContent content = list_folder(path + '/' + own);
    list.validation = list_part(list, std::string(own) + '/', content.folders, remarks);
    if (list.validation.empty())
      list.notes.push_back(
          fmt::format("no images to validate with in `{}/{}`", printable(path), own));
  } else {
    split_every_tenth(list.train, list.validation);
  }
  if (list.train.empty())
    user_error(fmt::format("no images in the class folders of `{}`", printable(path + '/' + part)),
               remarks.ignored_count > 0
                   ? fmt::format("{} files are not named like JPEG or PNG images: {}",
                                 remarks.ignored_count,
                                 first_three(remarks.ignored, remarks.ignored_count))
                   : "files named .jpg, .jpeg, .jpe, .jfif or .png are read");
  add_notes(remarks, list);
  return make_file_dataset(std::move(list), format);
}

} // namespace netc::data
