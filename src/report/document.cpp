#include "sgpt_mi/report/document.h"

#include <openssl/evp.h>

#include <cctype>
#include <cstddef>
#include <string_view>
#include <utility>

namespace sgpt_mi::report {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// Whether the column holds figures, which are flush right: every cell below the heading that is
/// not empty begins with a digit, a sign or "<".
bool is_figures(const Rows& rows, std::size_t column) {
  for (std::size_t r = 1; r < rows.size(); ++r) {
    if (column >= rows[r].size() || rows[r][column].empty()) continue;
    if (std::string_view("0123456789+-<").find(rows[r][column].front()) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_word(std::string_view text, std::size_t at) {
  return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
}

/// Escapes what would be markup. An underscore inside a word is none: names stay readable.
std::string escape_markdown(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') {
      escaped += ' ';
      continue;
    }
    const bool inside_word = i > 0 && is_word(text, i - 1) && is_word(text, i + 1);
    if (std::string_view("\\`*[]<>|&#~").find(c) != std::string_view::npos ||
        (c == '_' && !inside_word)) {
      escaped += '\\';
    }
    escaped += c;
  }
  return escaped;
}

std::string markdown_row(const std::vector<std::string>& row, std::size_t columns) {
  std::string line = "|";
  for (std::size_t i = 0; i < columns; ++i) {
    line += " " + (i < row.size() ? escape_markdown(row[i]) : "") + " |";
  }
  return line + "\n";
}

std::string markdown_table(const Rows& rows) {
  const std::size_t columns = rows.front().size();
  std::string text = markdown_row(rows.front(), columns) + "|";
  for (std::size_t i = 0; i < columns; ++i) text += is_figures(rows, i) ? "---:|" : "---|";
  text += "\n";
  for (std::size_t r = 1; r < rows.size(); ++r) text += markdown_row(rows[r], columns);
  return text;
}

/// The bytes in base 64, as data: URLs need them.
std::string base64(const std::string& bytes) {
  std::vector<unsigned char> text((bytes.size() + 2) / 3 * 4 + 1);  // EVP_EncodeBlock ends with 0
  const std::vector<unsigned char> input(bytes.begin(), bytes.end());
  const int length = EVP_EncodeBlock(text.data(), input.data(), static_cast<int>(input.size()));
  return {text.begin(), text.begin() + length};
}

std::string html_row(const Rows& rows, std::size_t row, const std::string& tag) {
  std::string line = "<tr>";
  for (std::size_t i = 0; i < rows[row].size(); ++i) {
    line += "<" + tag + (is_figures(rows, i) ? " class=\"n\">" : ">");
    line += escape_html(rows[row][i]) + "</" + tag + ">";
  }
  return line + "</tr>\n";
}

std::string html_table(const Rows& rows) {
  std::string text =
      "<div class=\"table\"><table>\n<thead>\n" + html_row(rows, 0, "th") + "</thead>\n<tbody>\n";
  for (std::size_t r = 1; r < rows.size(); ++r) text += html_row(rows, r, "td");
  return text + "</tbody>\n</table></div>\n";
}

std::string html_picture(const Picture& picture) {
  const std::string caption = escape_html(picture.caption);
  return "<figure>\n<img alt=\"" + caption + "\" src=\"data:image/png;base64," +
         base64(picture.png) + "\">\n<figcaption>" + caption + "</figcaption>\n</figure>\n";
}

constexpr const char* kStyle = R"(
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
       max-width: 1400px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: left; white-space: nowrap; }
.n { text-align: right; }
thead th { border-bottom: 2px solid #57606a; } tbody tr:nth-child(even) { background: #f4f6f8; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; border: 1px solid #d0d7de; }
figcaption { color: #57606a; font-size: .9rem; }
)";

std::string html_section(const Section& section) {
  std::string text = "<section>\n<h2>" + escape_html(section.title) + "</h2>\n";
  for (const std::string& paragraph : section.paragraphs) {
    text += "<p>" + escape_html(paragraph) + "</p>\n";
  }
  if (!section.table.empty()) text += html_table(section.table);
  for (const Picture& picture : section.pictures) text += html_picture(picture);
  return text + "</section>\n";
}

std::string csv_cell(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

void add_pictures(Document& document, std::vector<Picture> pictures) {
  if (!pictures.empty()) document.sections.push_back({"Pictures", {}, {}, std::move(pictures)});
}

void add_warnings(Document& document, const std::vector<std::string>& warnings) {
  if (!warnings.empty()) document.sections.push_back({"Warnings", warnings, {}, {}});
}

std::string to_text(const std::vector<Section>& sections) {
  std::string text;
  for (const Section& section : sections) {
    if (!text.empty()) text += "\n";
    text += section.title + "\n\n";
    for (const std::string& paragraph : section.paragraphs) text += paragraph + "\n";
    if (!section.paragraphs.empty() && !section.table.empty()) text += "\n";
    text += text_table(section.table);
  }
  return text;
}

std::string to_markdown(const Document& document) {
  std::string text = "# " + escape_markdown(document.title) + "\n";
  for (const Section& section : document.sections) {
    text += "\n## " + escape_markdown(section.title) + "\n";
    for (const std::string& paragraph : section.paragraphs) {
      text += "\n" + escape_markdown(paragraph) + "\n";
    }
    if (!section.table.empty()) text += "\n" + markdown_table(section.table);
    for (const Picture& picture : section.pictures) {
      text += "\n![" + escape_markdown(picture.caption) + "](<" + picture.file_name + ">)\n";
      text += "\n" + escape_markdown(picture.caption) + "\n";
    }
  }
  return text;
}

std::string to_html(const Document& document) {
  const std::string title = escape_html(document.title);
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += "<title>" + title + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n";
  page += "<h1>" + title + "</h1>\n";
  for (const Section& section : document.sections) page += html_section(section);
  return page + "</body>\n</html>\n";
}

std::string to_csv(const Rows& rows) {
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) text += (i > 0 ? "," : "") + csv_cell(row[i]);
    text += "\r\n";
  }
  return text;
}

}  // namespace sgpt_mi::report
