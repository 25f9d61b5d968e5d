// Stage probe: what each file holds. See stages.h.
#include <filesystem>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/format.h"
#include "moga/core/log.h"
#include "moga/data/films/file_stamp.h"
#include "moga/data/films/stages.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

Record source_record(const Source& source, int64_t number) {
  Record record = {{"film", number}, {"path", source.path.string()}, {"captions", source.captions}};
  if (!source.global_caption.empty()) record["global_caption"] = source.global_caption;
  if (!source.cuts.empty()) record["cuts"] = source.cuts;
  if (source.one_shot) record["one_shot"] = true;
  if (!source.sequence.empty()) record["sequence"] = source.sequence;
  if (source.latent_frames > 0) record["latent_frames"] = source.latent_frames;
  return record;
}

void describe(Record& record, const FilmInfo& info) {
  record["width"] = info.width;
  record["height"] = info.height;
  if (info.pixel_aspect != 1) record["pixel_aspect"] = info.pixel_aspect;
  if (info.rotation != 0) record["rotation"] = info.rotation;
  record["fps"] = info.fps;
  record["seconds"] = info.seconds;
  record["codec"] = info.codec;
  record["pixel_format"] = info.pixel_format;
  record["bits"] = info.bits;
  record["matrix"] = info.matrix;
  record["range"] = info.range;
  record["transfer"] = info.transfer;
  record["interlaced"] = info.interlaced;
  record["hdr"] = info.hdr;
}

// Why the film is dropped; empty: it is kept.
std::string problem_of(const FilmInfo& info, const FilmsConfig& config) {
  if (info.hdr && config.probe.hdr == Hdr::kRefuse) return "HDR (" + info.transfer + "), probe.hdr is refuse";
  if (info.seconds > 0 && info.seconds < config.probe.least_seconds)
    return formatted("%.3f s, expected at least %.3f (probe.least_seconds)", info.seconds, config.probe.least_seconds);
  if (std::min(info.width, info.height) < config.probe.least_side)
    return formatted("%ldx%ld, expected sides of at least %ld (probe.least_side)", info.width, info.height,
                     config.probe.least_side);
  return "";
}

Record probe(const Source& source, int64_t number, const FilmsConfig& config) {
  Record record = source_record(source, number);
  std::string problem = source.problem;
  if (problem.empty()) try {
      const FilmInfo info = film_info(source.path);
      describe(record, info);
      problem = problem_of(info, config);
    } catch (const Error& error) {
      problem = error.what();
    }
  if (!problem.empty()) record["dropped"] = problem;
  return record;
}

}  // namespace

std::vector<Record> probe_films(const FilmsConfig& config) {
  const SourceList list = read_sources(config.input, config.format);
  for (const std::string& note : list.notes) log_info(note);
  Manifest manifest(config.out, name_of(FilmStage::kProbe), to_json(config.probe));
  Progress progress("probe", static_cast<int64_t>(list.sources.size()), "film");
  for (size_t i = 0; i < list.sources.size(); ++i) {
    const Source& source = list.sources[i];
    const auto number = static_cast<int64_t>(i);
    const std::string input = source_record(source, number).dump() + source.problem + file_stamp(source.path);
    const auto& records = manifest.group(input, [&] { return std::vector<Record>{probe(source, number, config)}; });
    for (const Record& record : records)
      if (is_dropped(record))
        log_info("dropped ", record.at("path").get<std::string>(), ": ", record.at("dropped").get<std::string>());
    progress.advance();
  }
  return manifest.finish();
}

std::vector<Record> stage_records(const FilmsConfig& config, FilmStage stage) {
  const fs::path path = fs::path(config.out) / (std::string(name_of(stage)) + ".jsonl");
  check(fs::exists(path), path.string(), ": is missing; run stage ", name_of(stage), " first");
  return read_records(path);
}

}  // namespace moga
