// Latent shards: safetensors files with the tensors latent.0, latent.1, …, with text embeddings also text.0.0 (sample,
// shot), … and, in the file's metadata under "samples", a JSON list of {"captions": […], "shot_frames": […]} in the
// same order. Where videos have images (images.h), the list says which ("images"), and the tensors are condition.0 or
// given.0, with embeddings also image.0.0 (sample, shot), …. Checked when opened, so that a damaged, foreign or missing
// file is named before training starts. Writing is in shard_writer.cpp.
#include "moga/data/dataset/shards.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/safetensors.h"
#include "moga/data/dataset/shard_format.h"

namespace moga {
namespace {

using nlohmann::json;

// dataset.json: {"shards": 3, "samples": 700}. Data sets of earlier versions lack it.
void check_complete(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& paths) {
  int64_t shards = static_cast<int64_t>(paths.size());
  if (const auto file = folder / kDatasetFile; std::filesystem::exists(file)) {
    try {
      shards = json::parse(read_text(file, kMostConfigBytes)).at("shards").get<int64_t>();
    } catch (const json::exception& error) {
      fail(file.string(), ": expected the numbers of shards and samples: ", reason(error));
    }
  }
  for (int64_t i = 0; i < static_cast<int64_t>(paths.size()); ++i)
    check(paths[i].filename() == shard_name(i), folder.string(), ": ", shard_name(i), " is missing, found ",
          paths[i].filename().string());
  check(static_cast<int64_t>(paths.size()) == shards, folder.string(), " has ", paths.size(), " shards, ", kDatasetFile,
        " says ", shards);
}

struct Description {
  std::vector<int64_t> shot_frames;
  std::vector<std::string> captions;
  ImageForm form = ImageForm::kNone;
  ShownImages shown = {};
  bool embeddings = false;
};

void parse_images(const json& sample, Description& description, const std::string& source) {
  if (!sample.contains("images")) return;
  const json& images = sample["images"];
  description.form = choice<ImageForm>(source + ": form of images", images.at("form").get<std::string>());
  description.shown = {images.at("first").get<std::vector<bool>>(), images.at("last").get<std::vector<bool>>()};
  description.embeddings = images.at("embeddings").get<bool>();
  check(description.form != ImageForm::kNone, source, ": images in form none, expected no images");
}

std::vector<Description> parse_descriptions(const Safetensors& file, const std::string& source) {
  const auto metadata = file.metadata();
  const auto text = metadata.find("samples");
  check(text != metadata.end(), source, ": not a latent shard: the metadata has no \"samples\"");
  std::vector<Description> result;
  try {
    const json samples = json::parse(text->second);
    check(samples.is_array(), source, ": the metadata \"samples\" is a JSON ", samples.type_name(),
          ", expected a list");
    for (const json& sample : samples) {
      result.push_back({sample.at("shot_frames").get<std::vector<int64_t>>(),
                        sample.at("captions").get<std::vector<std::string>>()});
      parse_images(sample, result.back(), source);
    }
  } catch (const json::exception& error) {
    fail(source, ": the metadata \"samples\" is not a list of captions and shot_frames: ", reason(error));
  }
  return result;
}

void check_text(const Safetensors& file, const std::string& name, const std::string& source) {
  check(file.contains(name), source, ": tensor ", name, " is missing");
  check(file.dtype(name) == c10::kBFloat16 && file.shape(name).size() == 2, source, ": ", name, " is ",
        dtype_name(file.dtype(name)), " with ", file.shape(name).size(), " dimensions, expected bfloat16 [tokens, d]");
}

// Tensors of a sample's images.
size_t image_tensors(const Description& sample, const std::string& where) {
  if (sample.form == ImageForm::kNone) return 0;
  check_shown(sample.shown, sample.captions.size(), where);
  const auto images = static_cast<size_t>(sample.shown.count());
  return (sample.form == ImageForm::kCondition || images > 0 ? 1 : 0) + (sample.embeddings ? images : 0);
}

void check_images(const Safetensors& file, int64_t index, const Description& sample, const std::string& source) {
  if (sample.form == ImageForm::kNone) return;
  const std::string latent = tensor_name(index);
  const std::string name = sample.form == ImageForm::kCondition ? condition_name(index) : given_name(index);
  if (const auto shape = image_shape(sample.form, sample.shown, file.shape(latent)); !shape.empty()) {
    check(file.contains(name), source, ": tensor ", name, " is missing");
    check(file.dtype(name) == file.dtype(latent) && file.shape(name) == shape, source, ": ", name, " is ",
          dtype_name(file.dtype(name)), " ", at::IntArrayRef(file.shape(name)), ", expected ",
          dtype_name(file.dtype(latent)), " ", at::IntArrayRef(shape));
  }
  for (size_t shot = 0; sample.embeddings && shot < sample.captions.size(); ++shot)
    if (sample.shown.first[shot]) check_text(file, embedding_name(index, shot), source);
}

// Of the samples of one shard.
StoredImages stored_images(const Safetensors& file, const std::vector<Description>& samples) {
  StoredImages stored;
  for (size_t i = 0; i < samples.size(); ++i) {
    const Description& sample = samples[i];
    stored.form = sample.form;
    for (size_t shot = 0; shot < sample.shown.first.size(); ++shot) {
      if (!sample.shown.first[shot]) continue;
      (sample.shown.last[shot] ? stored.some_last : stored.some_single) = true;
      if (sample.embeddings) stored.embedding = file.shape(embedding_name(static_cast<int64_t>(i), shot))[1];
    }
  }
  return stored;
}

std::vector<Description> read_descriptions(const Safetensors& file, const std::string& source) {
  std::vector<Description> result = parse_descriptions(file, source);
  const bool with_text = file.contains(text_name(0, 0));
  size_t tensors = result.size();
  for (size_t i = 0; i < result.size(); ++i)
    tensors += (with_text ? result[i].captions.size() : 0) +
               image_tensors(result[i], source + ": " + tensor_name(static_cast<int64_t>(i)));
  check(file.names().size() == tensors, source, ": holds ", file.names().size(), " tensors, the metadata lists ",
        result.size(), " samples", with_text ? " with text" : "");
  for (size_t i = 0; i < result.size(); ++i) {
    const std::string name = tensor_name(static_cast<int64_t>(i));
    check(file.contains(name), source, ": tensor ", name, " is missing, found ", file.names().front(), " and others");
    check_sample(file.shape(name), file.dtype(name), result[i].shot_frames, result[i].captions.size(),
                 source + ": " + name);
    check(result[i].form == result[0].form && result[i].embeddings == result[0].embeddings, source, ": ", name,
          " has other images than ", tensor_name(0));
    check_images(file, static_cast<int64_t>(i), result[i], source);
    for (size_t shot = 0; with_text && shot < result[i].captions.size(); ++shot)
      check_text(file, text_name(static_cast<int64_t>(i), shot), source);
  }
  return result;
}

}  // namespace

struct ShardDataset::State {
  struct Shard {
    Safetensors file;
    std::vector<Description> samples;
  };
  std::filesystem::path folder;
  std::vector<std::filesystem::path> paths;
  std::vector<int64_t> ends;                 // samples up to and including each shard
  std::vector<std::vector<int64_t>> shapes;  // of the latents of all samples
  StoredImages images;
  size_t open_shards = 0;
  mutable std::mutex mutex;
  mutable std::map<size_t, std::shared_ptr<const Shard>> open;
  mutable std::deque<size_t> order;  // of the open shards, the one opened first in front

  std::shared_ptr<const Shard> read(size_t number) const {
    Safetensors file(paths[number]);
    auto samples = read_descriptions(file, paths[number].string());
    return std::make_shared<const Shard>(Shard{std::move(file), std::move(samples)});
  }
  void keep(size_t number, const std::shared_ptr<const Shard>& shard) const {
    if (!open.emplace(number, shard).second) return;
    order.push_back(number);
    if (open_shards == 0 || order.size() <= open_shards) return;
    open.erase(order.front());
    order.pop_front();
  }
  std::shared_ptr<const Shard> shard(size_t number) const {
    {
      const std::lock_guard lock(mutex);
      if (const auto found = open.find(number); found != open.end()) return found->second;
    }
    const auto shard = read(number);
    const std::lock_guard lock(mutex);
    keep(number, shard);
    return shard;
  }
};

ShardDataset::ShardDataset(const std::filesystem::path& folder, size_t open_shards) : state_(new State) {
  check(std::filesystem::is_directory(folder), folder.string(), ": no such folder");
  state_->folder = folder;
  state_->open_shards = open_shards;
  state_->paths = shard_paths(folder);
  check(!state_->paths.empty(), folder.string(),
        ": no samples in this folder, expected latent shards (shard-00000.safetensors, …)");
  check_complete(folder, state_->paths);
  int64_t total = 0;
  for (size_t number = 0; number < state_->paths.size(); ++number) {
    const auto shard = state_->read(number);
    state_->keep(number, shard);
    const StoredImages images = stored_images(shard->file, shard->samples);
    check(number == 0 || shard->samples.empty() || images.form == state_->images.form, state_->paths[number].string(),
          ": images in form ", name_of(images.form), ", those of the shards before in form ",
          name_of(state_->images.form));
    if (number == 0) state_->images.form = images.form;
    state_->images.add(images);
    total += static_cast<int64_t>(shard->samples.size());
    for (size_t i = 0; i < shard->samples.size(); ++i)
      state_->shapes.push_back(shard->file.shape(tensor_name(static_cast<int64_t>(i))));
    state_->ends.push_back(total);
  }
  check(total > 0, folder.string(), ": no samples in this folder, expected latent shards (shard-00000.safetensors, …)");
}

ShardDataset::~ShardDataset() = default;
ShardDataset::ShardDataset(ShardDataset&&) noexcept = default;

int64_t ShardDataset::size() const { return state_->ends.back(); }

Sample ShardDataset::get(int64_t index) const {
  check(index >= 0 && index < size(), "sample ", index, " was asked for, the shards have 0 to ", size() - 1);
  const auto end = std::upper_bound(state_->ends.begin(), state_->ends.end(), index);
  const auto shard = state_->shard(static_cast<size_t>(end - state_->ends.begin()));
  const int64_t local = index - (*end - static_cast<int64_t>(shard->samples.size()));
  const Description& sample = shard->samples[static_cast<size_t>(local)];
  Sample result = {shard->file.load(tensor_name(local)), sample.shot_frames, sample.captions};
  if (shard->file.contains(text_name(local, 0)))
    for (size_t shot = 0; shot < sample.captions.size(); ++shot)
      result.text.push_back(shard->file.load(text_name(local, shot)));
  SampleImages& images = result.images;
  images.form = sample.form;
  images.shown = sample.shown;
  if (sample.form == ImageForm::kCondition) images.condition = shard->file.load(condition_name(local));
  if (sample.form == ImageForm::kLatents && sample.shown.count() > 0)
    images.latents = shard->file.load(given_name(local));
  for (size_t shot = 0; sample.embeddings && shot < sample.captions.size(); ++shot)
    images.embeddings.push_back(sample.shown.first[shot] ? shard->file.load(embedding_name(local, shot))
                                                         : at::Tensor());
  return result;
}

const std::vector<int64_t>& ShardDataset::latent_shape(int64_t index) const {
  check(index >= 0 && index < size(), "sample ", index, " was asked for, the shards have 0 to ", size() - 1);
  return state_->shapes[static_cast<size_t>(index)];
}

const StoredImages& ShardDataset::images() const { return state_->images; }

NegativeText ShardDataset::negative() const {
  const std::filesystem::path path = state_->folder / kNegativeFile;
  if (!std::filesystem::exists(path)) return {};
  const Safetensors file(path);
  check_text(file, "text", path.string());
  return {file.metadata()["prompt"], file.load("text")};
}

}  // namespace moga
