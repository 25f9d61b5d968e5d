// Stage encode: samples → latents and embeddings in shards. See prepare_films.h.
//
// Shard k of a folder holds the k-th run of samples_a_shard samples, without those that could not be read. It is made
// in NAME.partial, from where complete shards are taken up again after a kill. Threads decode the frames of the next
// samples (encode.readers) while the device encodes one.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/data/dataset/read_ahead.h"
#include "moga/data/dataset/shard_files.h"
#include "moga/data/dataset/shard_format.h"
#include "moga/data/films/prepared.h"
#include "moga/data/limits.h"
#include "moga/data/video/video.h"
#include "moga/model/registry.h"
#include "moga/train/video/prepare_films.h"
#include "moga/train/video/shot_images.h"
#include "moga/train/video/text_embedder.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// Its frames, or why they cannot be read.
struct Frames {
  at::Tensor pixels;
  std::string problem;
};

Frames try_read(const Record& sample, double fps, const FrameReading& reading) {
  try {
    return {sample_frames(sample, 0, frames_of(sample), fps, reading), ""};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

constexpr int64_t kMostReaders = 8;
constexpr int64_t kReadBytes = int64_t{4} << 30;  // of frames that wait, where the number of readers is ours to choose

int64_t cores() { return std::max<int64_t>(1, std::thread::hardware_concurrency()); }

int64_t bytes_of(const Record& sample) {
  return 3 * frames_of(sample) * sample.at("width").get<int64_t>() * sample.at("height").get<int64_t>();
}

// Two cores per reader, as far as memory allows.
int64_t reader_count(int64_t asked, const std::vector<Record>& samples) {
  if (asked > 0) return asked;
  int64_t largest = 1;
  for (const Record& sample : samples) largest = std::max(largest, bytes_of(sample));
  return std::clamp<int64_t>(std::min(cores() / 2, kReadBytes / largest), 1, kMostReaders);
}

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What was encoded: frames of the films, seconds in all, and those in which no frames were there to encode.
struct Throughput {
  int64_t frames = 0;
  double seconds = 0, waited = 0;
};

class FilmEncoder {
 public:
  explicit FilmEncoder(const FilmsConfig& config)
      : fps_(config.fps), readers_(config.encode.readers), device_(parse_device(config.encode.device)) {
    const FilmEncodeConfig& encode = config.encode;
    dtype_ = compute_dtype(encode.dtype, device_);
    codec_ = load_codec(encode.vae, device_, dtype_);
    const Strides strides = codec_->config().strides();
    check(strides.frames == kLatentStride, encode.vae, ": has ", strides.frames, " frames per latent frame, expected ",
          kLatentStride);
    check(strides.divide(config.merge.multiple, config.merge.multiple), "merge.multiple is ", config.merge.multiple,
          ", the VAE needs ", strides.multiples());
    if (device_.is_cuda()) codec_->store_channels_last();
    if (config.images.enabled()) images_.emplace(config.images, device_);
    if (encode.text_encoder.empty()) return;
    text_.emplace(TextEmbedderConfig{encode.text_encoder, encode.tokenizer, encode.text_len, device_, dtype_});
    negative_ = {encode.negative_prompt, text_->embed({encode.negative_prompt}).front()};
  }

  const NegativeText& negative() const { return negative_; }
  // Of all calls of encode() so far.
  const Throughput& throughput() const { return throughput_; }

  // Encodes what can be read, in order; `records` gets a line per sample.
  std::vector<Sample> encode(const std::vector<Record>& samples, std::vector<Record>& records, Progress& progress) {
    std::vector<Sample> encoded;
    const int64_t readers = reader_count(readers_, samples), count = static_cast<int64_t>(samples.size());
    const FrameReading reading = {.pinned = device_.is_cuda(),
                                  .threads = static_cast<int>(std::max<int64_t>(1, cores() / readers))};
    const Clock::time_point start = Clock::now();
    const auto read = [&](int64_t i) {
      return i < count ? try_read(samples[static_cast<size_t>(i)], fps_, reading) : Frames{};
    };
    ReadAhead<Frames> ahead(read, 0, readers, static_cast<int>(readers));
    for (size_t i = 0; i < samples.size(); ++i) {
      const Clock::time_point asked = Clock::now();
      Frames frames = ahead.next();
      throughput_.waited += seconds_since(asked);
      stop_if_interrupted();
      Record record = {{"sample", samples[i].at("sample")}};
      if (!frames.problem.empty()) {
        log_info("dropped ", record.at("sample").get<std::string>(), ": ", frames.problem);
        record["dropped"] = frames.problem;
      } else {
        encoded.push_back(encode_one(samples[i], frames.pixels));
        throughput_.frames += frames.pixels.size(0);
      }
      records.push_back(std::move(record));
      progress.advance();
    }
    throughput_.seconds += seconds_since(start);
    return encoded;
  }

 private:
  Sample encode_one(const Record& record, const at::Tensor& pixels) {
    Sample sample;
    sample.latent = codec_->encode(to_float(pixels.to(device_, /*non_blocking=*/true)).to(dtype_).unsqueeze(0))[0]
                        .to(at::kBFloat16)
                        .cpu();
    for (const Record& shot : record.at("shots")) {
      sample.shot_frames.push_back(shot.at("latent_frames").get<int64_t>());
      sample.captions.push_back(shot.at("caption").get<std::string>());
    }
    if (text_) sample.text = text_->embed(sample.captions);
    if (images_) sample.images = encode_images(record, pixels, sample.shot_frames);
    return sample;
  }

  // Drawn by the sample's name, which other samples of the manifest do not change.
  SampleImages encode_images(const Record& record, const at::Tensor& pixels, const std::vector<int64_t>& shot_frames) {
    const uint64_t number = random_key(0, record.at("sample").get<std::string>());
    const DrawnImages drawn = images_->draw(*codec_, number, pixels, shot_frames, /*whole=*/false);
    const at::Tensor latents =
        drawn.clip.defined() ? codec_->encode(drawn.clip)[0].to(at::kBFloat16).cpu() : at::Tensor();
    return images_->stored(drawn, latents, shot_frames);
  }

  double fps_;
  int64_t readers_;
  at::Device device_;
  at::ScalarType dtype_ = at::kFloat;
  CodecPtr codec_;
  std::optional<TextEmbedder> text_;
  std::optional<ShotImageMaker> images_;
  NegativeText negative_;
  Throughput throughput_;
};

// Writes shards/ or held_out/. Models are loaded when the first shard is made.
class SetWriter {
 public:
  SetWriter(const FilmsConfig& config, const std::string& name, std::optional<FilmEncoder>& encoder)
      : config_(config),
        encoder_(encoder),
        name_(name),
        final_(fs::path(config.out) / name),
        partial_(fs::path(config.out) / (name + ".partial")) {
    FilmEncodeConfig settings = config.encode;
    settings.held_out = settings.readers = 0;
    settings_ = to_json(settings) + std::to_string(config.fps);
    if (config.images.enabled()) settings_ += to_json(config.images);
  }

  // A line per sample: its shard and its place in it, or why it was dropped.
  std::vector<Record> write(const std::vector<Record>& samples) {
    make_folder(partial_);
    Progress progress("encode " + name_, static_cast<int64_t>(samples.size()), "sample");
    const auto step = static_cast<size_t>(config_.encode.samples_a_shard);
    for (size_t begin = 0; begin < samples.size(); begin += step) {
      const auto from = samples.begin() + static_cast<int64_t>(begin);
      add_shard({from, from + static_cast<int64_t>(std::min(step, samples.size() - begin))}, progress);
    }
    check(shards_ > 0, name_, ": none of its ", samples.size(), " samples could be read");
    for (int64_t more = shards_; fs::exists(shard_path(partial_, more)); ++more) fs::remove(shard_path(partial_, more));
    if (!config_.encode.text_encoder.empty()) keep(kNegativeFile);
    finish_shards(partial_, shards_, total_);
    publish();
    log_info(name_, ": ", total_, " samples in ", shards_, " shards, ", kept_, " of them kept from an earlier run");
    return std::move(records_);
  }

 private:
  void add_shard(const std::vector<Record>& samples, Progress& progress) {
    Checksum checksum;
    checksum.add(settings_);
    checksum.add(to_lines(samples));
    const fs::path path = shard_path(partial_, shards_);
    if (!has_origin(path, checksum.text())) {
      fs::remove(path);
      if (has_origin(final_ / path.filename(), checksum.text())) keep(path.filename());
    }
    std::vector<Record> made;
    if (has_origin(path, checksum.text())) {
      made = Record::parse(shard_metadata(path).at("made")).get<std::vector<Record>>();
      progress.advance(static_cast<int64_t>(samples.size()));
      ++kept_;
    } else {
      const std::vector<Sample> encoded = encoder().encode(samples, made, progress);
      if (!encoded.empty()) write_shard(path, encoded, {{"origin", checksum.text()}, {"made", Record(made).dump()}});
    }
    add_records(made);
  }

  void add_records(const std::vector<Record>& made) {
    int64_t place = 0;
    for (Record record : made) {
      record["set"] = name_;
      if (!is_dropped(record)) {
        record["shard"] = shards_;
        record["place"] = place++;
      }
      records_.push_back(std::move(record));
    }
    total_ += place;
    shards_ += place > 0;
  }

  FilmEncoder& encoder() {
    if (!encoder_) encoder_.emplace(config_);
    if (encoder_->negative().text.defined()) write_negative(partial_, encoder_->negative());
    return *encoder_;
  }

  static bool has_origin(const fs::path& path, const std::string& origin) {
    const auto metadata = shard_metadata(path);
    const auto found = metadata.find("origin");
    return found != metadata.end() && found->second == origin;
  }

  // Takes a file of the finished folder over into the new one, whole or not at all.
  void keep(const fs::path& file) {
    if (!fs::exists(final_ / file) || fs::exists(partial_ / file)) return;
    write_atomically(partial_ / file, [&](const fs::path& temporary) {
      fs::copy_file(final_ / file, temporary, fs::copy_options::overwrite_existing);
    });
  }

  void publish() {
    const fs::path old = fs::path(config_.out) / (name_ + ".old");
    fs::remove_all(old);
    if (fs::exists(final_)) fs::rename(final_, old);
    fs::rename(partial_, final_);
    fs::remove_all(old);
  }

  const FilmsConfig& config_;
  std::optional<FilmEncoder>& encoder_;
  std::string name_, settings_;
  fs::path final_, partial_;
  int64_t shards_ = 0, total_ = 0, kept_ = 0;
  std::vector<Record> records_;
};

void log_throughput(const Throughput& all) {
  log_info(
      "encoded ", all.frames, " frames in ", format_duration(all.seconds), ", ",
      formatted("%.1f frames/s; waited %.1f s for films", static_cast<double>(all.frames) / all.seconds, all.waited));
}

// The films whose samples are held out: those whose names have the smallest checksums, so that adding films changes
// little.
std::set<int64_t> held_out_films(const std::vector<Record>& samples, int64_t count) {
  std::map<std::string, int64_t> films;
  for (const Record& sample : samples) {
    Checksum checksum;
    checksum.add(sample.at("shots").at(0).at("path").get<std::string>());
    films[checksum.text()] = sample.at("film").get<int64_t>();
  }
  check(count == 0 || count < static_cast<int64_t>(films.size()), "encode.held_out is ", count,
        ", expected less than the ", films.size(), " films that have samples");
  std::set<int64_t> chosen;
  for (const auto& [name, film] : films)
    if (static_cast<int64_t>(chosen.size()) < count) chosen.insert(film);
  return chosen;
}

}  // namespace

std::vector<Record> encode_films(const FilmsConfig& config, const std::vector<Record>& samples) {
  at::NoGradGuard no_grad;
  std::vector<Record> usable, held_out;
  for (const Record& sample : samples)
    if (!is_dropped(sample)) usable.push_back(sample);
  check(!usable.empty(), config.out, ": no sample is left to encode; merge.jsonl says why each was dropped");
  const std::set<int64_t> held = held_out_films(usable, config.encode.held_out);
  const auto is_held = [&](const Record& sample) { return held.contains(sample.at("film").get<int64_t>()); };
  std::copy_if(usable.begin(), usable.end(), std::back_inserter(held_out), is_held);
  std::erase_if(usable, is_held);
  std::optional<FilmEncoder> encoder;
  std::vector<Record> records = SetWriter(config, "shards", encoder).write(usable);
  if (!held_out.empty()) {
    const std::vector<Record> more = SetWriter(config, "held_out", encoder).write(held_out);
    records.insert(records.end(), more.begin(), more.end());
  }
  write_text(fs::path(config.out) / "encode.jsonl", to_lines(records));
  if (encoder) log_throughput(encoder->throughput());
  return records;
}

}  // namespace moga
