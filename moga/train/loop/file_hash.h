// A 64-bit checksum of a file, fast enough to be free beside reading it: four lanes of multiply and rotate, mixed at
// the end. It finds truncation and flipped bits; it is no defence against an adversary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace moga {

uint64_t file_hash(const std::filesystem::path& path);

std::string to_hex(uint64_t hash);  // 16 digits

}  // namespace moga
