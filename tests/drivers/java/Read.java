import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Properties;

/** What pgjdbc makes of the JDBC URLs. */
public class Read {
  private static final String[][] PARTS = {
    {"host", "PGHOST"}, {"port", "PGPORT"}, {"database", "PGDBNAME"}, {"user", "user"},
    {"password", "password"}, {"sslmode", "sslmode"}, {"application_name", "ApplicationName"}};

  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] field = line.split("\t");
      if (!field[0].equals("url") || !field[2].equals("jdbc")) {
        continue;
      }
      String url = new String(Base64.getDecoder().decode(field[3]), StandardCharsets.UTF_8);
      String where = "pgjdbc\t" + field[1] + "\tjdbc\t";
      Properties seen = org.postgresql.Driver.parseURL(url, new Properties());
      if (seen == null) {
        out.println("fail\t" + where + encode("no URL of pgjdbc"));
        continue;
      }
      for (String[] part : PARTS) {
        String value = seen.getProperty(part[1], "").replaceAll("^\\[|\\]$", "");
        if (!part[0].equals("host")) {
          value = seen.getProperty(part[1], "");
        }
        out.println("got\t" + where + part[0] + "\t" + encode(value.replace(",[", ",")));
      }
    }
  }

  private static String encode(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }
}
